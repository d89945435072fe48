#include "data/safetensors.hpp"

#include <cstring>

#include "sea/error.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

namespace {

using namespace sea;
using sea::test::contains;
using sea::test::error_of;
using sea::test::read_file;
using sea::test::TemporaryFolder;
using sea::test::write_file;

/// A file by hand: length, header, data.
std::string file_bytes(const std::string& header, const std::string& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(std::uint64_t{header.size()} >> (8 * i) & 255);
  return bytes + header + data;
}

std::string read_error(const TemporaryFolder& folder, const std::string& bytes) {
  write_file(folder / "x.safetensors", bytes);
  return error_of([&] { Safetensors::read(folder / "x.safetensors"); });
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace

TEST_CASE("safetensors: what is written is read back", "[safetensors]") {
  const TemporaryFolder folder;
  const std::vector<float> weights = {1.5f, -2.0f, 0.1f, 3e-38f, 5.0f, 6.0f};
  const std::vector<std::int64_t> counters = {-1, 1LL << 60};
  const std::vector<std::int32_t> ids = {3, 4, 5};
  const std::map<std::string, std::string> metadata = {{"model", "sea"}, {"note", "a \"quoted\"\nline"}};
  write_safetensors(folder / "a.safetensors",
                    {{"visual.weight", "F32", {2, 3}, weights.data()},
                     {"counters", "I64", {2}, counters.data()},
                     {"ids", "I32", {3}, ids.data()},
                     {"empty", "F32", {0, 4}, nullptr},
                     {"one", "F32", {}, weights.data()}},
                    metadata);
  CHECK(sea::test::entry_count(folder.path()) == 1);
  const Safetensors file = Safetensors::read(folder / "a.safetensors");
  CHECK(file.metadata() == metadata);
  CHECK(file.names() == std::vector<std::string>{"counters", "empty", "ids", "one", "visual.weight"});
  CHECK(file.contains("ids"));
  CHECK_FALSE(file.contains("visual"));
  CHECK(file.shape("visual.weight") == std::vector<std::int64_t>{2, 3});
  CHECK(file.shape("one").empty());
  CHECK(file.floats("visual.weight") == weights);
  CHECK(file.floats("empty").empty());
  CHECK(file.floats("one") == std::vector<float>{1.5f});
  CHECK(file.integers("counters") == counters);
  CHECK(
      contains(error_of([&] { file.floats("counters"); }), "array 'counters' is of type I64; F32 is needed"));
  CHECK(contains(error_of([&] { file.integers("ids"); }), "is of type I32; I64 is needed"));
  CHECK(contains(error_of([&] { file.floats("bias"); }), "a.safetensors: has no array 'bias'"));
  CHECK(contains(error_of([&] { file.shape("bias"); }), "has no array 'bias'"));
}

TEST_CASE("safetensors: a file laid out by the format's definition is read", "[safetensors]") {
  const TemporaryFolder folder;
  const std::string header =
      R"({"b":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   )";
  write_file(folder / "x.safetensors",
             file_bytes(header, bytes_of<float>({1.0f, 2.0f}) + bytes_of<std::int64_t>({42})));
  const Safetensors file = Safetensors::read(folder / "x.safetensors");
  CHECK(file.floats("a") == std::vector<float>{1.0f, 2.0f});
  CHECK(file.integers("b") == std::vector<std::int64_t>{42});
  CHECK(file.metadata().empty());
}

TEST_CASE("safetensors: the same content is the same bytes, aligned, data in the order given",
          "[safetensors]") {
  const TemporaryFolder folder;
  const std::vector<float> values = {1.0f, 2.0f};
  for (const char* name : {"a", "b"})
    write_safetensors(folder / name, {{"z", "F32", {1}, values.data()}, {"a", "F32", {1}, values.data() + 1}},
                      {{"k", "v"}});
  const std::string bytes = read_file(folder / "a");
  CHECK(bytes == read_file(folder / "b"));
  CHECK(bytes.size() % 8 == 0);
  CHECK(bytes.substr(bytes.size() - 8) == bytes_of(values));
}

TEST_CASE("safetensors: truncated, corrupt and foreign files are clear errors", "[safetensors]") {
  const TemporaryFolder folder;
  const std::vector<float> weights(40, 1.25f);
  write_safetensors(folder / "a.safetensors", {{"w", "F32", {40}, weights.data()}}, {{"step", "7"}});
  const std::string whole = read_file(folder / "a.safetensors");
  REQUIRE(read_error(folder, whole).empty());
  for (std::size_t size = 0; size < whole.size(); ++size)
    REQUIRE_FALSE(read_error(folder, whole.substr(0, size)).empty());
  CHECK_FALSE(read_error(folder, whole + "x").empty());
  // Any one flipped bit is noticed; padding aside, which means nothing, and the checksum's own name.
  const std::size_t checksum_name = whole.find("xxh3");
  for (std::size_t place = 0; place < whole.size(); ++place) {
    if (whole[place] == ' ' || (place >= checksum_name && place < checksum_name + 4)) continue;
    std::string flipped = whole;
    flipped[place] = static_cast<char>(flipped[place] ^ 1);
    INFO(place);
    REQUIRE_FALSE(read_error(folder, flipped).empty());
  }
  std::string flipped = whole;
  flipped[whole.size() - 3] = static_cast<char>(flipped[whole.size() - 3] ^ 16);
  CHECK(contains(read_error(folder, flipped), "its checksum does not match"));

  CHECK(contains(error_of([&] { Safetensors::read(folder / "none"); }), "no such file"));
  CHECK(contains(read_error(folder, "PK\3\4 something else entirely"), "is not a whole .safetensors file"));
  CHECK(contains(read_error(folder, ""), "it has only 0 bytes"));
  CHECK(contains(read_error(folder, file_bytes("[1, 2]", "")), "not a JSON object"));
  CHECK(contains(read_error(folder, file_bytes("{\"a\":", "")), "not a JSON object"));
  const auto with = [&](const std::string& entry) {
    return read_error(folder, file_bytes("{\"a\":" + entry + "}", "12345678"));
  };
  CHECK(with(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})").empty());
  CHECK(contains(with(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"), "do not match its bytes"));
  CHECK(contains(with(R"({"dtype":"F33","shape":[2],"data_offsets":[0,8]})"), "do not match its bytes"));
  CHECK(contains(with(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})"), "may be truncated"));
  CHECK(contains(with(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), "may be truncated"));
  CHECK(contains(with(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), "leave gaps"));
  CHECK(contains(with(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), "belong to no array"));
  CHECK(contains(with(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), "is not described"));
  CHECK(contains(with(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"), "is not described"));
  CHECK(contains(with(R"({"dtype":"F32","shape":[4611686018427387904, 4],"data_offsets":[0,8]})"),
                 "do not match"));
  CHECK(contains(with(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]})"),
                 "absurd shape"));
  CHECK(contains(with("3"), "is not described"));
  // Brackets alone, which would be walked through by recursion.
  const std::string brackets = std::string(200'000, '[') + std::string(200'000, ']');
  CHECK(contains(with(brackets), "not a JSON object"));
  CHECK(contains(with(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":)" + brackets + "}"),
                 "not a JSON object"));
  CHECK(contains(with(R"({"dtype":"F32","shape":[2]})"), "is not described"));
  CHECK(contains(read_error(folder, file_bytes(R"({"__metadata__":{"a":1}})", "")), "is not a string"));
  CHECK(contains(read_error(folder, file_bytes(R"({"__metadata__":[]})", "")),
                 "metadata is not a JSON object"));
}

TEST_CASE("safetensors: what cannot be written is said before anything is", "[safetensors]") {
  const TemporaryFolder folder;
  const std::vector<float> values = {1.0f};
  CHECK(contains(error_of([&] {
                   write_safetensors(folder / "x",
                                     {{"a", "F32", {1}, values.data()}, {"a", "F32", {1}, values.data()}},
                                     {});
                 }),
                 "two arrays are named 'a'"));
  CHECK(contains(error_of([&] {
                   write_safetensors(folder / "x", {{"a", "float", {1}, values.data()}}, {});
                 }),
                 "dtype 'float'"));
  CHECK(sea::test::entry_count(folder.path()) == 0);
}
