// Debian ships Boost.URL without a binary for this version: compiled here, once.
#include <boost/url/src.hpp>
