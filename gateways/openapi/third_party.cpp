// Debian ships Boost.JSON without a binary for this version: compiled here, once for the gateways.
#include <boost/json/src.hpp>
