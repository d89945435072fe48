#include "support/provenance.hpp"

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "commit.hpp"

namespace sea::bench {

namespace {

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(": ") + 2);
  }
  return "unknown";
}

}  // namespace

nlohmann::ordered_json provenance() {
  return {{"date", today()},
          {"commit", commit},
          {"processor", processor()},
          {"cores", std::thread::hardware_concurrency()}};
}

}  // namespace sea::bench
