// metrics.jsonl, as --resume reads it beside a checkpoint.

#include "fuzz.hpp"
#include "training/run_folder.hpp"

namespace sea::fuzz {

std::vector<std::string> seeds() {
  const std::string line =
      R"(,"train_loss":{"bpr":0.5},"train_seconds":1.5,"eval_seconds":0.25,"valid":{"recall@20":0.1}})";
  const std::string first = R"({"epoch":0)" + line + "\n", second = R"({"epoch":1)" + line + "\n";
  return {first + second + R"({"epoch":2)",
          first + first,
          first + "\n" + second,
          R"({"epoch":0.0,"train_seconds":1e308,"eval_seconds":1e308})"
          "\n" +
              second,
          R"({"epoch":0,"train_seconds":1e999,"eval_seconds":"1"})"
          "\n",
          R"({"epoch":)" + nested(20000) +
              R"(,"train_seconds":1,"eval_seconds":1})"
              "\n",
          "[]\nnull\n",
          ""};
}

void read(std::string_view bytes) {
  for (const std::int64_t epochs :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{2}, std::int64_t{1} << 40}) {
    expect_sentence([&] {
      const MetricsLines lines = parse_metrics("run/metrics.jsonl", bytes, epochs);
      if (lines.bytes > bytes.size()) fail("lines that reach beyond the end");
      if (lines.bytes > 0 && bytes[lines.bytes - 1] != '\n') fail("half a line");
      std::int64_t count = 0;
      for (const char c : bytes.substr(0, lines.bytes)) count += c == '\n';
      if (count != epochs) fail("another number of lines");
    });
  }
}

}  // namespace sea::fuzz
