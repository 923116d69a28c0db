#include <filesystem>
#include <fstream>
#include <iostream>

#include "gateways/openapi/docs.hpp"

/// dump: prints the contract's OpenAPI document. dump FOLDER: writes all documents into it, for a browser to
/// look at.
int main(int argc, char** argv) {
  const cx::Services nothing_served;
  const auto methods = cx::methods_of(cx::contract_services(), nothing_served);
  const cx::openapi::Info info{.version = "0"};
  if (argc == 1) {
    std::cout << cx::openapi::document(methods, info) << '\n';
    return 0;
  }
  for (const auto& document : cx::openapi::documents(methods, info)) {
    const auto file = std::filesystem::path(argv[1]) / document.path.substr(1);
    const auto name = document.path == "/docs" ? file / "index.html" : file;
    std::filesystem::create_directories(name.parent_path());
    std::ofstream(name, std::ios::binary) << document.body;
  }
}
