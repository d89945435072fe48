// The order of operators on several streams, and of copies, memory and captures beside them: a case for each
// sentence of the contract. Where there are no streams, operators are done in the order they are asked for.

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>

#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr std::int64_t size = 40;

/// Four rows of numbers, from x on, and what operators do with them.
class Numbers {
 public:
  explicit Numbers(Backend& backend_)
      : backend(backend_),
        values(random_values(size, 1)),
        x(to_device(backend_, values)),
        y(garbage(backend_, size)),
        z(garbage(backend_, size)) {}

  static MatrixView row(const Buffer<float>& buffer) { return buffer.matrix(1, size); }
  void scale(float factor, const Buffer<float>& from, const Buffer<float>& to) const {
    backend.scale(factor, row(from), row(to));
  }
  void check(const Buffer<float>& buffer, float factor) const {
    std::vector<float> expected = values;
    for (float& value : expected) value *= factor;
    CHECK(buffer.download() == expected);
  }

  Backend& backend;
  std::vector<float> values;
  Buffer<float> x, y, z;
};

/// Several times on every backend, since an order that nobody asked for is only likely.
void for_each_try(const std::function<void(Backend&, Numbers&)>& body) {
  for_each_precision([&](Backend& backend) {
    for (int attempt = 0; attempt < 8; ++attempt) {
      Numbers numbers(backend);
      body(backend, numbers);
    }
  });
}

constexpr Stream others[] = {Stream::beside, Stream::narrow};

}  // namespace

TEST_CASE("streams: what follows a fork begins after what was asked before it") {
  for_each_try([](Backend& backend, Numbers& n) {
    for (const Stream stream : others) {
      n.scale(2.0f, n.x, n.y);
      backend.fork();
      backend.on_stream(stream, [&] { n.scale(4.0f, n.y, n.z); });
      n.check(n.z, 8.0f);
    }
  });
}

TEST_CASE("streams: what follows a join begins after what was asked of the others") {
  for_each_try([](Backend& backend, Numbers& n) {
    for (const Stream stream : others) {
      backend.fork();
      backend.on_stream(stream, [&] { n.scale(2.0f, n.x, n.y); });
      backend.join();
      n.scale(4.0f, n.y, n.z);
      n.check(n.z, 8.0f);
      backend.fork();
      backend.on_stream(stream, [&] { n.scale(8.0f, n.x, n.z); });
      backend.join();
      n.scale(0.5f, n.z, n.z);
      n.check(n.z, 4.0f);
    }
  });
}

TEST_CASE("streams: copies to and from the host, and giving memory back, join first") {
  for_each_try([](Backend& backend, Numbers& n) {
    for (const Stream stream : others) {
      const std::vector<float> values = n.values;
      backend.fork();
      backend.on_stream(stream, [&] { n.scale(2.0f, n.x, n.y); });
      n.x.upload(std::vector<float>(size, 7.0f));
      n.check(n.y, 2.0f);
      n.x.upload(values);
      {
        const Buffer<float> between(backend, size);
        backend.fork();
        backend.on_stream(stream, [&] {
          n.scale(2.0f, n.x, between);
          n.scale(2.0f, between, n.z);
        });
      }
      n.check(n.z, 4.0f);
      backend.on_stream(stream, [&] { n.scale(16.0f, n.x, n.z); });
      backend.synchronize();
      n.check(n.z, 16.0f);
    }
  });
}

TEST_CASE("streams: memory given back on one is in order with what the main one does with it") {
  for_each_try([](Backend& backend, Numbers& n) {
    for (const Stream stream : others) {
      std::optional<Buffer<float>> between(std::in_place, backend, size);
      n.scale(2.0f, n.x, *between);
      n.scale(2.0f, *between, n.y);
      backend.on_stream(stream, [&] { between.reset(); });
      n.check(n.y, 4.0f);
    }
  });
}

TEST_CASE("streams: what one is asked for after it gave memory back is joined all the same") {
  for_each_try([](Backend& backend, Numbers& n) {
    for (const Stream stream : others) {
      std::optional<Buffer<float>> between(std::in_place, backend, size);
      backend.fork();
      backend.on_stream(stream, [&] {
        n.scale(2.0f, n.x, *between);
        between.reset();
        n.scale(8.0f, n.x, n.z);
      });
      n.check(n.z, 8.0f);
    }
  });
}

TEST_CASE("streams: memory allocated on one is its own at once, and the main one's after a join") {
  for_each_try([](Backend& backend, Numbers& n) {
    for (const Stream stream : others) {
      std::optional<Buffer<float>> between;
      {
        const Buffer<float> before(backend, size);  // whose memory may be the next one's
        n.scale(32.0f, n.x, before);
      }
      backend.on_stream(stream, [&] {
        between.emplace(backend, size);
        n.scale(2.0f, n.x, *between);
      });
      backend.join();
      n.scale(2.0f, *between, n.y);
      n.check(n.y, 4.0f);
    }
  });
}

TEST_CASE("streams: what waits for a mark begins after what was noted, on any two streams") {
  for_each_try([](Backend& backend, Numbers& n) {
    n.scale(2.0f, n.x, n.y);
    backend.mark(Stream::main, 0);
    backend.wait(Stream::narrow, 0);
    backend.on_stream(Stream::narrow, [&] { n.scale(2.0f, n.y, n.z); });
    backend.mark(Stream::narrow, 3);
    backend.wait(Stream::beside, 3);
    backend.wait(Stream::beside, 5);  // which nobody made
    backend.on_stream(Stream::beside, [&] { n.scale(2.0f, n.z, n.y); });
    backend.mark(Stream::beside, 0);
    backend.wait(Stream::main, 0);
    n.scale(2.0f, n.y, n.z);
    n.check(n.z, 16.0f);
    n.check(n.y, 8.0f);
  });
}

TEST_CASE("streams: a mark's number is not negative") {
  for_each_precision([](Backend& backend) {
    CHECK(error_of([&] { backend.mark(Stream::main, -1); }) == "mark: a mark's number must be at least 0");
    CHECK(error_of([&] { backend.wait(Stream::main, -1); }) == "wait: a mark's number must be at least 0");
  });
}

TEST_CASE("streams: products run on all of them, side by side") {
  constexpr std::int64_t m = 40, k = 700, columns = 24;
  const std::vector<float> left = random_values(m * k, 2), right = random_values(k * columns, 3);
  const std::vector<double> expected = naive_product(to_double(left), to_double(right), m, k, columns);
  for_each_precision([&](Backend& backend) {
    const Buffer<float> a = to_device(backend, left), b = to_device(backend, right);
    std::vector<Buffer<float>> products;
    for (int i = 0; i < stream_count; ++i) products.push_back(garbage(backend, m * columns));
    backend.fork();
    for (int i = 0; i < stream_count; ++i) {
      const auto multiply = [&] {
        backend.matmul(Transpose::no, Transpose::no, 1.0f, a.matrix(m, k), b.matrix(k, columns), 0.0f,
                       products[static_cast<std::size_t>(i)].matrix(m, columns));
      };
      i == 0 ? multiply() : backend.on_stream(static_cast<Stream>(i), multiply);
    }
    for (const Buffer<float>& product : products) CHECK(relative_error(product.download(), expected) < 4e-6);
  });
}

TEST_CASE("streams: what is thrown on one leaves the main one chosen, and its memory in order") {
  for_each_try([](Backend& backend, Numbers& n) {
    for (const Stream stream : others) {
      {
        const Buffer<float> between(backend, size);
        backend.fork();
        CHECK_THROWS_AS(backend.on_stream(stream,
                                          [&] {
                                            n.scale(2.0f, n.x, between);
                                            n.scale(2.0f, between, n.y);
                                            throw std::runtime_error("planted");
                                          }),
                        std::runtime_error);
      }
      CHECK_NOTHROW(backend.on_stream(stream, [&] { n.scale(2.0f, n.x, n.z); }));
      n.check(n.z, 2.0f);
      n.check(n.y, 4.0f);
    }
  });
}

TEST_CASE("streams: a capture begins after all that runs, and ends when its streams have joined") {
  for_each_try([](Backend& backend, Numbers& n) {
    backend.fork();
    backend.on_stream(Stream::beside, [&] { n.scale(2.0f, n.x, n.y); });
    const auto body = [&] {
      n.scale(2.0f, n.y, n.z);
      backend.fork();
      backend.on_stream(Stream::narrow, [&] { n.scale(2.0f, n.z, n.x); });
      backend.on_stream(Stream::beside, [&] { n.scale(0.5f, n.z, n.y); });
    };
    const std::unique_ptr<CapturedGraph> graph = backend.capture(body);
    // y stays 2 x, so that every replay does the same.
    for (int times = 0; times < 3; ++times) graph == nullptr ? body() : graph->replay();
    n.check(n.y, 2.0f);
    n.check(n.z, 4.0f);
    n.check(n.x, 8.0f);
  });
}

TEST_CASE("streams: what another one is asked for in a capture is captured, without a fork too") {
  for_each_try([](Backend& backend, Numbers& n) {
    for (const Stream stream : others) {
      n.z.upload(n.values);
      const auto body = [&] { backend.on_stream(stream, [&] { n.scale(2.0f, n.z, n.z); }); };
      const std::unique_ptr<CapturedGraph> graph = backend.capture(body);
      n.check(n.z, 1.0f);
      for (int times = 0; times < 2; ++times) graph == nullptr ? body() : graph->replay();
      n.check(n.z, 4.0f);
    }
  });
}

TEST_CASE("streams: a mark outlasts a capture, in which nothing has to wait for it") {
  for_each_try([](Backend& backend, Numbers& n) {
    for (const Stream stream : others) {
      const bool fails = stream == Stream::narrow;
      n.scale(2.0f, n.x, n.y);
      backend.mark(Stream::main, 1);
      const auto body = [&] {
        backend.wait(stream, 1);
        backend.on_stream(stream, [&] { n.scale(2.0f, n.y, n.z); });
        backend.mark(stream, 1);  // another one, of the capture
        backend.wait(Stream::main, 1);
        n.scale(2.0f, n.z, n.z);
        if (fails) throw std::runtime_error("planted");
      };
      std::unique_ptr<CapturedGraph> graph;
      try {
        graph = backend.capture(body);
      } catch (const std::runtime_error&) {
        CHECK(fails);
      }
      backend.wait(stream, 1);
      backend.on_stream(stream, [&] { n.scale(16.0f, n.y, n.x); });
      n.check(n.x, 32.0f);
      if (graph != nullptr) {
        graph->replay();
        n.check(n.z, 8.0f);
      }
      n.x.upload(n.values);
    }
  });
}

TEST_CASE("streams: a capture that failed is over") {
  for_each_try([](Backend& backend, Numbers& n) {
    const auto failing = [&] {
      n.scale(2.0f, n.x, n.y);
      backend.fork();
      backend.on_stream(Stream::beside, [&] { n.scale(2.0f, n.x, n.z); });
      throw std::runtime_error("planted");
    };
    if (backend.capture([] {}) == nullptr) return;  // operators are done as they are asked for
    CHECK_THROWS_AS(backend.capture(failing), std::runtime_error);
    n.scale(4.0f, n.x, n.y);
    n.check(n.y, 4.0f);
    const std::unique_ptr<CapturedGraph> graph = backend.capture([&] { n.scale(8.0f, n.x, n.z); });
    graph->replay();
    n.check(n.z, 8.0f);
  });
}

TEST_CASE("streams: one inside of another is refused") {
  for_each_precision([](Backend& backend) {
    if (!backend.has_streams()) return;
    backend.on_stream(Stream::beside, [&] {
      CHECK_THROWS_AS(backend.on_stream(Stream::narrow, [] {}), Error);
      CHECK_THROWS_AS(backend.fork(), Error);
      CHECK_THROWS_AS(backend.join(), Error);
    });
  });
}
