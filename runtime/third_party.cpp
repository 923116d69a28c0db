// Debian ships Boost.JSON without a binary for this version: compiled here, once.
#include <boost/json/src.hpp>
