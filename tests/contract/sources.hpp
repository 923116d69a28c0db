#pragma once

#include <filesystem>
#include <google/protobuf/descriptor.h>
#include <string>
#include <vector>

namespace cx::test {

/// An empty folder that goes away with all that is in it.
struct Folder {
  Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder();
  std::filesystem::path path;
};

/// A contract that protoc has compiled, with its comments; its options are those of the generated code. Fails
/// the test where something does not compile.
class Contract {
 public:
  /// All .proto files of a folder; "cx/v1/..." is below it.
  explicit Contract(const std::filesystem::path& folder);
  /// One file of this text, in package cx.v1, with this checkout's options imported.
  explicit Contract(const std::string& text);

  /// What was compiled, without what is imported from elsewhere.
  const std::vector<const google::protobuf::FileDescriptor*>& files() const { return files_; }

 private:
  void compile(const std::filesystem::path& folder, const std::vector<std::string>& names);

  google::protobuf::DescriptorPool pool_;
  std::vector<const google::protobuf::FileDescriptor*> files_;
};

/// Where the .proto files of this checkout are.
std::filesystem::path messages_folder();

}  // namespace cx::test
