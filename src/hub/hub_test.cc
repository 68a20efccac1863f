#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "hub/backoff.h"
#include "hub/digest.h"
#include "hub/file_list.h"
#include "hub/pull.h"
#include "hub/reference.h"
#include "hub/shard_index.h"
#include "hub/store.h"
#include "hub/url.h"
#include "support/temp_dir.h"

namespace folio::hub {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

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
                          "-a/b",
                          "org/name:a\x1b[31m",
                          "org/name:a\xc2\x9b"
                          "31m",  // CSI as one character
                          "org/name:a\xe2\x80\xae"
                          "fugg"})  // right to left
    EXPECT_FALSE(parse_reference(bad)) << bad;
  EXPECT_TRUE(parse_reference("org/name:\xc3\xa9t\xc3\xa9-\xe2\x80\x93.gguf")) << "other letters and dashes";
}

TEST(Url, PartsAsServersMeanThem) {
  const auto url = parse_url("https://Example.org:443/a?b#c");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "example.org");
  EXPECT_TRUE(url->has_origin_of(*parse_url("https://example.org/x")));
  EXPECT_FALSE(url->has_origin_of(*parse_url("http://example.org:443/x")));
  EXPECT_FALSE(url->has_origin_of(*parse_url("https://example.org:444/x")));
  EXPECT_FALSE(url->has_origin_of(*parse_url("https://sub.example.org/x")));
  EXPECT_EQ(resolve_url(*url, "/x y")->text, "https://Example.org:443/x%20y");
  EXPECT_EQ(resolve_url(*url, "//other.org/x")->host, "other.org");
  EXPECT_EQ(resolve_url(*url, "https://other.org/x#y")->text, "https://other.org/x");
  for (const char* bad : {"", "x", "ftp://x/y", "file:///etc/passwd", "http://", "https://user:secret@x/y",
                          "http://x/\x1b[31m", "http://x/ y", "https://x:99999/"})
    EXPECT_FALSE(parse_url(bad)) << bad;
  EXPECT_FALSE(resolve_url(*url, "file:///etc/passwd"));
  EXPECT_FALSE(resolve_url(*url, "https://" + std::string(10'000, 'x') + "/"));
  EXPECT_THAT(parse_url("https://user:secret@x/y").error().message, Not(HasSubstr("secret")));
}

TEST(Url, RedirectsKeepWhatProtects) {
  const auto follows = [](const char* from, const char* to) {
    return check_redirect(*parse_url(from), *parse_url(to)).has_value();
  };
  EXPECT_TRUE(follows("https://a.org/", "https://b.org/"));
  EXPECT_TRUE(follows("http://a.org/", "https://b.org/"));
  EXPECT_FALSE(follows("https://a.org/", "http://a.org/"));
  EXPECT_FALSE(follows("https://a.org/", "http://127.0.0.1/"));
  EXPECT_TRUE(follows("http://a.org/", "http://a.org:81/x"));
  EXPECT_FALSE(follows("http://a.org/", "http://b.org/"));
  EXPECT_FALSE(follows("http://a.org/", "http://127.0.0.1/"));
  EXPECT_FALSE(follows("http://127.0.0.1/", "http://127.a.org/"));
  EXPECT_TRUE(follows("http://127.0.0.1/", "http://localhost/"));
  EXPECT_TRUE(follows("http://[::1]/", "http://127.3.2.1/"));
}

TEST(Backoff, WaitsLongerEachTimeAndEnds) {
  using std::chrono::milliseconds;
  Backoff backoff;
  EXPECT_EQ(backoff.next(), milliseconds(500));
  EXPECT_EQ(backoff.next(), milliseconds(1000));
  EXPECT_EQ(backoff.next(std::chrono::seconds(7)), milliseconds(7000)) << "as the server asks";
  EXPECT_EQ(backoff.next(), milliseconds(4000));
  EXPECT_EQ(backoff.next(), std::nullopt);
  backoff.succeed();
  EXPECT_EQ(backoff.next(), milliseconds(500));
  EXPECT_EQ(backoff.next(std::chrono::seconds(61)), std::nullopt) << "longer than anybody waits";
}

TEST(FileList, TakesFilesAndTheirHashesAndNothingElse) {
  const std::string sha256(64, 'a'), git(40, 'b');
  const auto list = parse_file_list(fmt::format(
      R"([{{"type":"directory","path":"d","oid":"{1}"}},
          {{"type":"file","path":"large","size":7,"oid":"{1}","lfs":{{"oid":"{0}","size":7,"x":[[[[1]]]]}}}},
          {{"type":"file","path":"small","size":3,"oid":"{1}"}},
          {{"type":"file","path":"bare","size":-1}},
          {{"type":"file","path":"../up","oid":"{1}"}}, {{"type":"file","path":7}}, {{"type":"file"}}, 3, [[[]]]])",
      sha256, git));
  ASSERT_TRUE(list) << list.error().message;
  ASSERT_EQ(list->size(), 3u);
  EXPECT_EQ((*list)[0].sha256, sha256);
  EXPECT_EQ((*list)[0].git_blob, "") << "it is the pointer's";
  EXPECT_EQ((*list)[0].bytes, 7u);
  EXPECT_EQ((*list)[1].git_blob, git);
  EXPECT_EQ((*list)[2].path, "bare");
  EXPECT_EQ((*list)[2].bytes, 0u);
  for (const char* bad : {"", "{}", "[", R"([{"type":"file","path":"a","oid":"\u001b[31m"}])",
                          R"([{"type":"file","path":"a","lfs":{"oid":"abc"}}])"})
    EXPECT_FALSE(parse_file_list(bad)) << bad;
  EXPECT_TRUE(parse_file_list(std::string(1'000'000, '[')).error().kind == ErrorKind::kIo);
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

TEST(ChooseFiles, AQuantisationIsTheOneOfThatName) {
  const auto types =
      files({"m-1b-BF16.gguf", "m-1b-F16.gguf", "m-1b-Q2_K.gguf", "m-1b-Q2_K_L.gguf", "m-1b-Q4_0.gguf",
             "m-1b-Q4_0_4_4.gguf", "m-1b-UD-Q2_K.gguf", "m-1b-Q8_0-imat.gguf"});
  EXPECT_THAT(chosen(types, "F16"), ElementsAre("m-1b-F16.gguf"));
  EXPECT_THAT(chosen(types, "q2_k"), ElementsAre("m-1b-Q2_K.gguf"));
  EXPECT_THAT(chosen(types, "UD-Q2_K"), ElementsAre("m-1b-UD-Q2_K.gguf"));
  EXPECT_THAT(chosen(types, "Q2_K_L"), ElementsAre("m-1b-Q2_K_L.gguf"));
  EXPECT_THAT(chosen(types, "Q4_0"), ElementsAre("m-1b-Q4_0.gguf"));
  EXPECT_THAT(chosen(types, "Q4_0_4"), ElementsAre("m-1b-Q4_0_4_4.gguf")) << "a part, if nothing fits better";
  EXPECT_THAT(chosen(types, "Q8_0"), ElementsAre("m-1b-Q8_0-imat.gguf"));
  EXPECT_THAT(chosen(types, ""), ElementsAre("m-1b-Q4_0.gguf"));
  EXPECT_THAT(choose_files(types, "Q2").error().message,
              AllOf(HasSubstr("Q2_K.gguf"), Not(HasSubstr("BF16"))));
  const auto marked = files({"m-BF16-imat.gguf", "m-F16-imat.gguf", "m-Q8_0.gguf"});
  EXPECT_THAT(chosen(marked, "F16"), ElementsAre("m-F16-imat.gguf"));
  const auto dots = files({"Some.Model.IQ4_XS.gguf", "Some.Model.IQ4_NL.gguf", "Some.Model.f16.gguf"});
  EXPECT_THAT(chosen(dots, "iq4_xs"), ElementsAre("Some.Model.IQ4_XS.gguf"));
  EXPECT_THAT(chosen(dots, ""), ElementsAre("Some.Model.f16.gguf"));
  EXPECT_THAT(chosen(files({"ggml_model_q4_0.gguf", "ggml_model_q4_0_8_8.gguf"}), "q4_0"),
              ElementsAre("ggml_model_q4_0.gguf"));
  const auto folders = files({"Q4_K_M/m-Q4_K_M-00001-of-00002.gguf", "Q4_K_M/m-Q4_K_M-00002-of-00002.gguf",
                              "Q4_K_S/m-Q4_K_S-00001-of-00001.gguf"});
  EXPECT_EQ(chosen(folders, "Q4_K_M").size(), 2u);
  EXPECT_EQ(chosen(folders, "Q4_K_S").size(), 1u);
  EXPECT_FALSE(choose_files(files({"a-Q4_0_4_4.gguf", "a-Q4_0_8_8.gguf"}), "")) << "neither is Q4_0";
}

TEST(ChooseFiles, AllPartsOfASplitModel) {
  const auto split = files({"m-Q4_K_M-00002-of-00002.gguf", "m-Q4_K_M-00001-of-00002.gguf", "m-Q8_0.gguf"});
  EXPECT_THAT(chosen(split, ""), ElementsAre("m-Q4_K_M-00001-of-00002.gguf", "m-Q4_K_M-00002-of-00002.gguf"));
  EXPECT_THAT(chosen(split, "m-Q4_K_M-00002-of-00002.gguf").size(), 2u);
  const auto two_ways = files({"m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "m-00001-of-00001.gguf"});
  EXPECT_EQ(chosen(two_ways, "m-00001-of-00002.gguf").size(), 2u);
  EXPECT_EQ(chosen(two_ways, "m-00001-of-00001.gguf").size(), 1u);
  EXPECT_THAT(choose_files(files({"m-00001-of-00003.gguf", "m-00003-of-00003.gguf"}), "").error().message,
              HasSubstr("no part 2 of the 3"));
}

TEST(ChooseFiles, AHuggingFaceModelWithoutItsPrograms) {
  EXPECT_THAT(chosen(files({"config.json", "model.safetensors", "modeling.py", "onnx/model.safetensors",
                            "tokenizer.json"}),
                     ""),
              ElementsAre("config.json", "model.safetensors", "tokenizer.json"));
  EXPECT_FALSE(choose_files(files({"config.json", "pytorch_model.bin"}), ""));
  EXPECT_FALSE(choose_files({}, ""));
  EXPECT_FALSE(choose_files(files({"model.safetensors"}), "")) << "no configuration";
}

TEST(ChooseFiles, WeightsOnce) {
  const char* index = "model.safetensors.index.json";
  EXPECT_THAT(chosen(files({"config.json", "consolidated.safetensors", "model-00001-of-00002.safetensors",
                            "model-00002-of-00002.safetensors", index, "original/model.safetensors"}),
                     ""),
              ElementsAre(index, "config.json", "model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors"));
  EXPECT_THAT(chosen(files({"config.json", "consolidated-00001-of-00001.safetensors", "model.safetensors",
                            "model-00001-of-00001.safetensors", "adapter_model.safetensors", index}),
                     ""),
              ElementsAre("config.json", "model.safetensors"))
      << "the one that is read first";
  EXPECT_THAT(choose_files(files({"config.json", "consolidated.safetensors"}), "").error().message,
              HasSubstr("neither"));
}

TEST(ShardIndex, DropsWhatItDoesNotName) {
  const auto kept = [](std::string_view json) {
    std::vector<HubFile> some =
        files({"config.json", "a.safetensors", "b.safetensors", "b.fp16.safetensors"});
    const Status status = keep_indexed(json, some);
    std::vector<std::string> paths;
    for (const HubFile& file : some) paths.push_back(file.path);
    return status ? paths : std::vector<std::string>{status.error().message};
  };
  EXPECT_THAT(kept(R"({"weight_map":{"x":"a.safetensors","y":"b.safetensors","z":"a.safetensors"}})"),
              ElementsAre("config.json", "a.safetensors", "b.safetensors"));
  EXPECT_THAT(kept(R"({"weight_map":{"x":"a.safetensors","y":"c.safetensors"}})"),
              ElementsAre(HasSubstr("does not hold: 'c.safetensors'")));
  EXPECT_THAT(kept(R"({"weight_map":{"x":"\u001b[31m"}})"), ElementsAre(HasSubstr("'...'")));
  for (const char* none : {"", "GGUF", "[]", "{}", R"({"weight_map":7})", R"({"weight_map":{"x":[[[]]]}})"})
    EXPECT_EQ(kept(none).size(), 4u) << none;
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

TEST(Store, PartsAreOneModel) {
  const test::TempDir folder;
  const std::string root = folder.path();
  std::filesystem::create_directories(root + "/org/big");
  for (const char* name :
       {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf", "n-00002-of-00002.gguf"})
    std::ofstream(root + "/org/big/" + name) << "12345";
  const Store store(root);
  std::vector<std::string> names;
  for (const StoredModel& model : store.list()) names.push_back(model.name);
  EXPECT_THAT(names, ElementsAre("org/big:m-00001-of-00003.gguf", "org/big:n-00002-of-00002.gguf"));
  const auto model = store.find("org/big:m-00001-of-00003");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->bytes, 15u);
  EXPECT_EQ(model->path, root + "/org/big/m-00001-of-00003.gguf");
  ASSERT_TRUE(store.remove(*model));
  EXPECT_EQ(store.list().size(), 1u);
  EXPECT_TRUE(store.find("org/big")) << "its neighbour stays";
}

TEST(Store, NamesThatATerminalWouldObeyAreNotListed) {
  const test::TempDir folder;
  for (const char* name : {"a\x1b[31m.gguf",
                           "a\xc2\x9b"
                           "1m.gguf",
                           "a\nb.gguf", "fine.gguf"})
    folder.write(name, "x");
  const auto models = Store(folder.path()).list();
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models.front().name, "fine.gguf");
}

}  // namespace
}  // namespace folio::hub
