#include "tests/contract/sources.hpp"

#include <algorithm>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fstream>
#include <google/protobuf/descriptor.pb.h>
#include <sstream>

#include "cx/v1/options.pb.h"

namespace cx::test {

namespace fs = std::filesystem;

Folder::Folder() {
  std::string name = (fs::temp_directory_path() / "contract-XXXXXX").string();
  REQUIRE(mkdtemp(name.data()) != nullptr);
  path = name;
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

Contract::Contract(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".proto")
      names.push_back(fs::relative(entry.path(), folder).generic_string());
  std::sort(names.begin(), names.end());
  compile(folder, names);
}

Contract::Contract(const std::string& text) {
  const Folder folder;
  std::ofstream(folder.path / "test.proto") << "syntax = \"proto3\"; package cx.v1;\n"
                                               "import \"cx/v1/options.proto\";\n"
                                            << text;
  compile(folder.path, {"test.proto"});
}

void Contract::compile(const fs::path& folder, const std::vector<std::string>& names) {
  const Folder made;
  const auto set = made.path / "set.pb", complaints = made.path / "complaints";
  std::string command =
      std::string(CX_PROTOC) + " -I '" + folder.string() + "' -I '" + messages_folder().string() +
      "' --include_imports --include_source_info --descriptor_set_out='" + set.string() + "'";
  for (const auto& name : names) command += " '" + name + "'";
  command += " 2>'" + complaints.string() + "'";
  if (std::system(command.c_str()) != 0) {  // NOLINT(concurrency-mt-unsafe): a test of one thread
    std::stringstream text;
    text << std::ifstream(complaints).rdbuf();
    FAIL(text.str());
  }
  v1::Route::descriptor();  // our options are known before the first one is read
  google::protobuf::FileDescriptorSet files;
  std::ifstream in(set, std::ios::binary);
  REQUIRE(files.ParseFromIstream(&in));
  for (const auto& file : files.file()) {
    const auto* built = pool_.BuildFile(file);
    REQUIRE_MESSAGE(built != nullptr, file.name());
    if (std::find(names.begin(), names.end(), file.name()) != names.end()) files_.push_back(built);
  }
}

fs::path messages_folder() {
  return fs::path(CX_SOURCE_DIR) / "messages";
}

}  // namespace cx::test
