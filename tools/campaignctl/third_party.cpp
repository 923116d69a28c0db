// Debian ships these two Boost libraries without a binary for this version: compiled here, once.
#include <boost/json/src.hpp>
#include <boost/url/src.hpp>
