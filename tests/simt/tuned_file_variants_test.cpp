#include <type_traits>

#include "simt/variants.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "tuned.cuh"

using namespace sea;
using namespace sea::test;
using cuda::for_each_variant;
using simt::test::in_two_orders;
using simt::test::name_of;
namespace variants = sea::cuda::variants;

TEST_CASE("variants: the header of the winners as the benchmark writes it is tuned.cuh", "[variants]") {
  std::vector<cuda::Winner> winners;
  const auto add = [&]<class... Choices, class Tuned>(const char* list, cuda::Variants<Choices...>, Tuned) {
    INFO(list);
    CHECK((std::is_same_v<Tuned, Choices> || ...));
    winners.push_back({list, name_of<Tuned>()});
  };
  add("LargeTiling", variants::LargeTiling{}, cuda::tuned::LargeTiling{});
  add("SmallTiling", variants::SmallTiling{}, cuda::tuned::SmallTiling{});
  add("HalfTiling", variants::HalfTiling{}, cuda::tuned::HalfTiling{});
  add("UpdateTiling", variants::UpdateTiling{}, cuda::tuned::UpdateTiling{});
  add("WalkTiling", variants::WalkTiling{}, cuda::tuned::WalkTiling{});
  add("FitTiling", variants::FitTiling{}, cuda::tuned::FitTiling{});
  add("SpmmTiling", variants::SpmmTiling{}, cuda::tuned::SpmmTiling{});
  const std::string written = cuda::tuned_file("GPU", winners, {4.0, 1.2, 3.0}),
                    present = read_file(source_folder() / "kernels/tuned.cuh");
  const auto between = [](const std::string& text, const std::string& first, const std::string& last) {
    const std::size_t begin = text.find(first), end = text.find(last);
    REQUIRE(begin != std::string::npos);
    REQUIRE(end != std::string::npos);
    return text.substr(begin, end - begin);
  };
  CHECK(between(written, "#pragma once", "// GPU") == between(present, "#pragma once", "// GPU"));
  CHECK(between(written, "namespace", "/// Time") == between(present, "namespace", "/// Time"));
  CHECK(written.find("large_step_time = 4.000000, small_step_time = 1.200000, half_step_time = 3.000000;") !=
        std::string::npos);
}
