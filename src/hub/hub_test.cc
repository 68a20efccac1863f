#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "hub/digest.h"
#include "hub/pull.h"
#include "hub/reference.h"
#include "hub/store.h"
#include "support/temp_dir.h"

namespace folio::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Reference, NamesOfTheHub) {
  const auto plain = parse_reference("org/name-1.5_x");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->repository, "org/name-1.5_x");
  const auto file = parse_reference("hf://org/name:folder/a b.gguf");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->repository, "org/name");
  EXPECT_EQ(file->file, "folder/a b.gguf");
  const auto url = parse_reference("https://example.org/x/model.gguf?download=true");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->file, "model.gguf");
}

TEST(Reference, NothingThatLeavesTheStore) {
  for (const char* bad : {"",
                          "name",
                          "/",
                          "org/",
                          "/name",
                          "a/b/c",
                          "../name",
                          "org/..",
                          "org/.hidden",
                          "org/name:",
                          "org/name:../x",
                          "org/name:/etc/passwd",
                          "org/name:a//b",
                          "org/name:a/.b",
                          "org/name:a\\b",
                          "org/na me",
                          "org/name:a\nb",
                          "https://example.org/",
                          "https://example.org/..",
                          "https://example.org",
                          "-a/b"})
    EXPECT_FALSE(parse_reference(bad)) << bad;
}

std::vector<HubFile> files(std::vector<std::string> paths) {
  std::vector<HubFile> made;
  for (std::string& path : paths)
    made.push_back({.path = std::move(path), .bytes = 1, .sha256 = {}, .git_blob = {}});
  return made;
}

std::vector<std::string> chosen(const std::vector<HubFile>& from, const std::string& wanted) {
  std::vector<std::string> paths;
  if (const auto found = choose_files(from, wanted))
    for (const HubFile& file : *found) paths.push_back(file.path);
  return paths;
}

TEST(ChooseFiles, TheOneThatIsAskedForOrTheBestKnown) {
  const auto many =
      files({"x-Q8_0.gguf", "x-Q4_K_M.gguf", "x-Q4_0.gguf", "mmproj-x-Q4_K_M.gguf", "README.md"});
  EXPECT_THAT(chosen(many, ""), ElementsAre("x-Q4_K_M.gguf"));
  EXPECT_THAT(chosen(many, "q8_0"), ElementsAre("x-Q8_0.gguf"));
  EXPECT_THAT(chosen(many, "x-Q4_0.gguf"), ElementsAre("x-Q4_0.gguf"));
  EXPECT_THAT(choose_files(many, "Q4").error().message, HasSubstr("name one"));
  EXPECT_THAT(choose_files(many, "IQ2").error().message, HasSubstr("x-Q8_0.gguf"));
}

TEST(ChooseFiles, AllPartsOfASplitModel) {
  const auto split = files({"m-Q4_K_M-00002-of-00002.gguf", "m-Q4_K_M-00001-of-00002.gguf", "m-Q8_0.gguf"});
  EXPECT_THAT(chosen(split, ""), ElementsAre("m-Q4_K_M-00001-of-00002.gguf", "m-Q4_K_M-00002-of-00002.gguf"));
  EXPECT_THAT(chosen(split, "m-Q4_K_M-00002-of-00002.gguf").size(), 2u);
}

TEST(ChooseFiles, AHuggingFaceModelWithoutItsPrograms) {
  EXPECT_THAT(chosen(files({"config.json", "model.safetensors", "modeling.py", "onnx/model.safetensors",
                            "tokenizer.json"}),
                     ""),
              ElementsAre("config.json", "model.safetensors", "tokenizer.json"));
  EXPECT_FALSE(choose_files(files({"config.json", "pytorch_model.bin"}), ""));
  EXPECT_FALSE(choose_files({}, ""));
}

TEST(Digest, KnownValues) {
  Digest sha(Digest::Kind::kSha256, 3);
  sha.add("a");
  sha.add("bc");
  EXPECT_EQ(sha.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Digest blob(Digest::Kind::kGitBlob, 6);
  blob.add("hello\n");
  EXPECT_EQ(blob.hex(), "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(Store, FindsWhatIsThereAndNothingElse) {
  const test::TempDir folder;
  const std::string root = folder.path();
  const auto put = [&](const std::string& path) {
    std::filesystem::create_directories(std::filesystem::path(root + "/" + path).parent_path());
    std::ofstream(root + "/" + path) << "12345";
  };
  for (const char* path : {"org/a/x-Q4_0.gguf", "org/a/x-Q8_0.gguf", "org/b/y.gguf", "org/b/z.gguf.part",
                           "org/hf/config.json", "org/hf/model.safetensors", "own.gguf", "org/.tmp/q.gguf"})
    put(path);
  const Store store(root);
  std::vector<std::string> names;
  for (const StoredModel& model : store.list()) names.push_back(model.name);
  EXPECT_THAT(names,
              ElementsAre("org/a:x-Q4_0.gguf", "org/a:x-Q8_0.gguf", "org/b:y.gguf", "org/hf", "own.gguf"));
  EXPECT_EQ(store.find("hf://org/a:x-Q8_0")->path, root + "/org/a/x-Q8_0.gguf");
  EXPECT_EQ(store.find("org/hf")->bytes, 10u);
  EXPECT_EQ(store.find("own")->name, "own.gguf");
  EXPECT_EQ(store.find("org/a").error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(store.find("org/c").error().kind, ErrorKind::kNotFound);
  EXPECT_TRUE(store.remove(*store.find("org/hf")));
  EXPECT_FALSE(store.find("org/hf"));
  EXPECT_TRUE(store.find("org/b")) << "its neighbours stay";
  EXPECT_TRUE(Store(root + "/none").list().empty());
}

}  // namespace
}  // namespace folio::hub
