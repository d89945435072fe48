// u_id_mapping.csv and i_id_mapping.csv: the ids that users and items had before.

#include "data/id_mapping.hpp"
#include "fuzz.hpp"

namespace sea::fuzz {

std::vector<std::string> seeds() {
  return {"user_id\tuserID\nA\t0\nB\t1\n",
          "userID,user_id\r\n2,\"a, \"\"b\"\"\"\r\n0,c\r\n",
          "original,number,more\nx,3,y\nz,3,y\n",
          "asin\tuserID\n\n\"open\t1\n",
          "one column\n",
          ""};
}

void read(std::string_view bytes) {
  expect_sentence([&] {
    constexpr std::int64_t count = 5;
    std::vector<std::string> notices;
    const std::vector<std::string> names =
        parse_id_mapping("data/u_id_mapping.csv", bytes, "userID", count, notices);
    if (static_cast<std::int64_t>(names.size()) != count) fail("not one name per number");
    for (const std::string& notice : notices) expect_sentence([&] { throw Error(notice); });
  });
}

}  // namespace sea::fuzz
