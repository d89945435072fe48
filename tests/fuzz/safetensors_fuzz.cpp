// .safetensors: checkpoints, the best epoch's arrays, kept neighbours.

#include "data/safetensors.hpp"
#include "fuzz.hpp"

namespace sea::fuzz {

namespace {

std::string file(const std::string& header, std::size_t data_bytes) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(std::uint64_t{header.size()} >> (8 * i) & 255);
  bytes += header;
  for (std::size_t i = 0; i < data_bytes; ++i) bytes += static_cast<char>(37 * i + 11);
  return bytes;
}

}  // namespace

std::vector<std::string> seeds() {
  return {file(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
               R"("b":{"dtype":"I64","shape":[1,1],"data_offsets":[8,16]}})",
               16),
          file(R"({"__metadata__":{"format":"sea-best-1","run":"0"},"e":{"dtype":"F32","shape":[0,9],)"
               R"("data_offsets":[0,0]},"x":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}})",
               2),
          file(R"({"__metadata__":{"xxh3":"0000000000000000"}})", 0),
          file(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8),
          file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,0]}})", 1),
          file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"I8","shape":[1],)"
               R"("data_offsets":[0,1]}})",
               1),
          file(R"({"a":)" + nested(20000) + "}", 0),
          file(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"more":)" + nested(20000) + "}}", 0),
          "short",
          ""};
}

void read(std::string_view bytes) {
  expect_sentence([&] {
    const Safetensors file = Safetensors::parse("run/best.safetensors", {bytes.begin(), bytes.end()});
    for (const std::string& name : file.names()) {
      const std::vector<std::int64_t>& shape = file.shape(name);
      std::int64_t count = 1;
      for (const std::int64_t size : shape) count *= size;
      // The caller's name stands in the message of a wrong type: a name that nobody asks for is not looked
      // at.
      std::size_t floats = 0, integers = 0;
      try {
        floats = file.floats(name).size();
        if (floats * sizeof(float) != file.float_bytes(name).size()) fail("floats that are not their bytes");
        if (static_cast<std::int64_t>(floats) != count) fail("a shape that its floats do not fill");
      } catch (const Error&) {
      }
      try {
        integers = file.integers(name).size();
        if (static_cast<std::int64_t>(integers) != count) fail("a shape that its integers do not fill");
      } catch (const Error&) {
      }
      if (floats > 0 && integers > 0) fail("an array of two types");
    }
    for (const auto& [key, value] : file.metadata()) {
      if (key == "xxh3") fail("a checksum among the metadata");
    }
  });
}

}  // namespace sea::fuzz
