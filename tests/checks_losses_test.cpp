// The rest of checks_test.cpp: every operator of every backend refuses what does not fit, in the same words.

#include "support/refusals.hpp"

namespace sea::test {

std::vector<Refusal> Arguments::rows() {
  const MatrixView good = m(4, 3), bad = m(3, 4);
  const auto norm = [this](MatrixView x, double divisor, MatrixView dx) {
    return [=, this] {
      backend_.matrix_norm(x, MatrixNorm::frobenius, divisor, state_.data(), 1.0f, floats_.data(), dx,
                           workspace_);
    };
  };
  const auto reduce = [this](MatrixView x, MatrixView dx) {
    return [=, this] {
      backend_.reduce(x, Reduction::mean, state_.data(), 1.0f, floats_.data(), dx, workspace_);
    };
  };
  const auto gather_backward = [this](const BatchOrderView& sorted, MatrixView dx) {
    return
        [=, this] { backend_.gather_rows_backward(m(2, 3), sorted, BatchRole::user, 0, state_.data(), dx); };
  };
  const auto dot_backward = [this](MatrixView b, MatrixView dy, MatrixView da, MatrixView db) {
    return [=, this] { backend_.row_dot_backward(m(4, 3), b, dy, da, db); };
  };
  const auto weigh = [this](MatrixView weight, MatrixView y) {
    return [=, this] { backend_.modality_weight(m(4, 6), weight, y); };
  };
  const auto weigh_backward = [this](MatrixView weight, MatrixView dy, MatrixView dx, MatrixView dweight) {
    return [=, this] { backend_.modality_weight_backward(m(4, 6), weight, dy, dx, dweight); };
  };
  return {
      {"multiply: b is 3 x 4 and must be 4 x 3", [=, this] { backend_.multiply(good, bad, good); }},
      {"multiply: y is 3 x 4 and must be 4 x 3", [=, this] { backend_.multiply(good, good, bad); }},
      {"activate: y is 3 x 4 and must be 4 x 3",
       [=, this] { backend_.activate(Activation::tanh, good, bad); }},
      {"activate_backward: dy is 3 x 4 and must be 4 x 3",
       [=, this] { backend_.activate_backward(Activation::tanh, good, bad, good); }},
      {"activate_backward: dx is 3 x 4 and must be 4 x 3",
       [=, this] { backend_.activate_backward(Activation::tanh, good, good, bad); }},
      {"softmax: y is 3 x 4 and must be 4 x 3", [=, this] { backend_.softmax(good, 1.0f, bad); }},
      {"softmax_backward: dy is 3 x 4 and must be 4 x 3",
       [=, this] { backend_.softmax_backward(good, bad, 1.0f, good); }},
      {"softmax_backward: dx is 3 x 4 and must be 4 x 3",
       [=, this] { backend_.softmax_backward(good, good, 1.0f, bad); }},
      {"dropout_mask: the probability must be at least 0 and below 1",
       [=, this] { backend_.dropout_mask(1.0f, 1, 0, state_.data(), good); }},
      {"gather_rows: y is 4 x 3 and must be 2 x 3",
       [=, this] { backend_.gather_rows(good, i(2), state_.data(), good); }},
      {"gather_rows_backward: dx is 3 x 4 and must be 3 x 3", gather_backward(order(), bad)},
      {"gather_rows_backward: nodes has 5 elements and must have 6", gather_backward(order(5, 6), good)},
      {"gather_rows_backward: sources has 5 elements and must have 6", gather_backward(order(6, 5), good)},
      {"matrix_norm: dx is 3 x 4 and must be 4 x 3", norm(good, 1.0, bad)},
      {"matrix_norm: there must be a row and a column", norm(m(0, 3), 1.0, m(0, 3))},
      {"matrix_norm: the divisor must be positive", norm(good, 0.0, good)},
      {"reduce: dx is 3 x 4 and must be 4 x 3", reduce(good, bad)},
      {"reduce: there must be a row and a column", reduce(m(4, 0), m(4, 0))},
      {"row_dot: b is 4 x 3 and must be 4 x 6", [=, this] { backend_.row_dot(good, good, m(4, 2)); }},
      {"row_dot: y is 3 x 2 and must be 4 x 2", [=, this] { backend_.row_dot(good, m(4, 6), m(3, 2)); }},
      {"row_dot_backward: b is 4 x 3 and must be 4 x 6", dot_backward(good, m(4, 2), good, m(4, 6))},
      {"row_dot_backward: dy is 3 x 2 and must be 4 x 2", dot_backward(m(4, 6), m(3, 2), good, m(4, 6))},
      {"row_dot_backward: da is 3 x 4 and must be 4 x 3", dot_backward(m(4, 6), m(4, 2), bad, m(4, 6))},
      {"row_dot_backward: db is 4 x 3 and must be 4 x 6", dot_backward(m(4, 6), m(4, 2), good, good)},
      {"history_rows: y is 4 x 3 and must be 2 x 3",
       [=, this] { backend_.history_rows(csr(5, 3), i(2), false, state_.data(), good); }},
      {"modality_weight: weight must have a row for each row of x", weigh(m(3, 2), m(4, 6))},
      {"modality_weight: the columns of weight must divide those of x", weigh(m(4, 4), m(4, 6))},
      {"modality_weight: y is 4 x 3 and must be 4 x 6", weigh(m(4, 2), good)},
      {"modality_weight_backward: weight must have a row for each row of x",
       weigh_backward(m(3, 2), m(4, 6), m(4, 6), m(3, 2))},
      {"modality_weight_backward: the columns of weight must divide those of x",
       weigh_backward(m(4, 4), m(4, 6), m(4, 6), m(4, 4))},
      {"modality_weight_backward: dy is 4 x 3 and must be 4 x 6",
       weigh_backward(m(4, 2), good, m(4, 6), m(4, 2))},
      {"modality_weight_backward: dx is 4 x 3 and must be 4 x 6",
       weigh_backward(m(4, 2), m(4, 6), good, m(4, 2))},
      {"modality_weight_backward: dweight is 4 x 3 and must be 4 x 2",
       weigh_backward(m(4, 2), m(4, 6), m(4, 6), good)},
  };
}

std::vector<Refusal> Arguments::graphs() {
  const auto spmm = [this](MatrixView x, MatrixView residual, MatrixView y) {
    return [=, this] { backend_.spmm(csr(4, 5), x, residual, y); };
  };
  const auto rank = [this](bool attentive, MatrixView keys, std::int64_t k, const CsrPatternView& excluded,
                           std::size_t ids, std::size_t scores) {
    return [=, this] {
      if (attentive) {
        backend_.rank_attentive(m(4, 2), keys, k, excluded, i(ids), v(scores), workspace_);
      } else {
        backend_.topk_dot(m(4, 2), keys, k, excluded, i(ids), v(scores), workspace_);
      }
    };
  };
  const auto normalize_backward = [this](const CsrView& pattern, const CsrView& transpose,
                                         std::size_t roots) {
    return [=, this] {
      backend_.edge_normalize_backward(pattern, transpose, i(8), v(8), v(roots), v(8), v(8), workspace_);
    };
  };
  std::vector<Refusal> refusals = {
      {"spmm: x is 4 x 3 and must be 5 x 3", spmm(m(4, 3), {}, m(4, 3))},
      {"spmm: y is 5 x 3 and must be 4 x 3", spmm(m(5, 3), {}, m(5, 3))},
      {"spmm: residual is 5 x 3 and must be 4 x 3", spmm(m(5, 3), m(5, 3), m(4, 3))},
      {"topk_dot: queries and keys must have one width, of at least 1", rank(false, m(5, 3), 1, {}, 4, 4)},
      {"rank_attentive: keys must be five times as wide as queries, which must have a column",
       rank(true, m(5, 2), 1, {}, 4, 4)},
      {"sddmm: x is 5 x 3 and must be 4 x 3", [this] { backend_.sddmm(csr(4, 5), m(5, 3), m(5, 3), v(8)); }},
      {"sddmm: y is 4 x 3 and must be 5 x 3", [this] { backend_.sddmm(csr(4, 5), m(4, 3), m(4, 3), v(8)); }},
      {"edge_normalize: the pattern must be square",
       [this] { backend_.edge_normalize(csr(4, 5), v(8), v(8), v(4)); }},
      {"edge_normalize: inverse_roots has 3 elements and must have 4",
       [this] { backend_.edge_normalize(csr(4, 4), v(8), v(8), v(3)); }},
      {"edge_normalize_backward: the pattern must be square", normalize_backward(csr(4, 5), csr(5, 4), 4)},
      {"edge_normalize_backward: the transpose must have the shape of the pattern",
       normalize_backward(csr(4, 4), csr(3, 4), 4)},
      {"edge_normalize_backward: inverse_roots has 3 elements and must have 4",
       normalize_backward(csr(4, 4), csr(4, 4), 3)},
  };
  for (const bool attentive : {false, true}) {
    const std::string name = attentive ? "rank_attentive: " : "topk_dot: ";
    const MatrixView keys = m(5, attentive ? 10 : 2);
    refusals.push_back(
        {name + "k must be between 1 and the number of keys", rank(attentive, keys, 6, {}, 24, 24)});
    refusals.push_back(
        {name + "k must be between 1 and the number of keys", rank(attentive, keys, 0, {}, 0, 0)});
    refusals.push_back({name + "ids has 4 elements and must have 8", rank(attentive, keys, 2, {}, 4, 8)});
    refusals.push_back({name + "scores has 4 elements and must have 8", rank(attentive, keys, 2, {}, 8, 4)});
    refusals.push_back({name + "excluded must be queries x keys", rank(attentive, keys, 2, csr(5, 4), 8, 8)});
  }
  return refusals;
}

std::vector<Refusal> Arguments::losses() {
  std::vector<Refusal> refusals;
  float* const loss = floats_.data();
  for (const bool norm : {false, true}) {
    const std::string name = norm ? "embedding_norm: " : "bpr: ";
    const auto call = [=, this](MatrixView items, const BatchView& triples, const BatchOrderView& sorted,
                                MatrixView d_users, MatrixView d_items) {
      return [=, this] {
        if (norm) {
          backend_.embedding_norm(m(4, 3), items, triples, sorted, state_.data(), EmbeddingNorm::norms, 1.0f,
                                  loss, d_users, d_items, workspace_);
        } else {
          backend_.bpr(m(4, 3), items, triples, sorted, state_.data(), BprSum::mean, 1.0f, loss, d_users,
                       d_items, workspace_);
        }
      };
    };
    const MatrixView users = m(4, 3), items = m(5, 3);
    refusals.push_back(
        {name + "users and items must have one width", call(m(5, 2), batch(), order(), users, m(5, 2))});
    refusals.push_back(
        {name + "d_users is 5 x 3 and must be 4 x 3", call(items, batch(), order(), items, items)});
    refusals.push_back(
        {name + "d_items is 4 x 3 and must be 5 x 3", call(items, batch(), order(), users, users)});
    refusals.push_back({name + "positives has 1 elements and must have 2",
                        call(items, batch(2, 1, 2), order(), users, items)});
    refusals.push_back({name + "negatives has 1 elements and must have 2",
                        call(items, batch(2, 2, 1), order(), users, items)});
    refusals.push_back(
        {name + "nodes has 5 elements and must have 6", call(items, batch(), order(5, 6), users, items)});
    refusals.push_back(
        {name + "sources has 5 elements and must have 6", call(items, batch(), order(6, 5), users, items)});
  }

  const auto align = [=, this](MatrixView text, MatrixView visual, float temperature, MatrixView d_text,
                               MatrixView d_visual) {
    return [=, this] {
      backend_.contrastive_alignment(text, visual, temperature, false, {}, 1.0f, loss, d_text, d_visual,
                                     workspace_);
    };
  };
  const auto apart = [=, this](MatrixView generic, MatrixView unique, MatrixView d_generic,
                               MatrixView d_unique) {
    return [=, this] { backend_.l2_distance(generic, unique, 1.0f, loss, d_generic, d_unique, workspace_); };
  };
  // q of width 3 and one hidden unit has 20 parameters.
  const auto club = [=, this](MatrixView unique, std::size_t permuted, std::int64_t q_width,
                              std::int64_t hidden, std::size_t parameters, MatrixView d_generic,
                              MatrixView d_unique) {
    return [=, this] {
      backend_.club(m(4, 3), unique, i(permuted), {q_width, hidden, v(parameters)}, 1.0f, loss, d_generic,
                    d_unique, workspace_);
    };
  };
  const auto fit = [this](const std::vector<PairView>& pairs, std::int64_t hidden, std::size_t parameters,
                          std::size_t first, std::size_t second) {
    return [=, this] {
      backend_.club_fit(pairs, hidden, v(parameters), v(first), v(second), AdamSettings{}, optimizer_.data(),
                        v(2), workspace_);
    };
  };
  const auto contrast = [=, this](MatrixView queries, MatrixView keys, std::size_t positives,
                                  const ContrastiveSettings& settings, MatrixView d_queries,
                                  MatrixView d_keys) {
    return [=, this] {
      backend_.contrastive(queries, keys, i(positives), settings, state_.data(), 1.0f, loss, d_queries,
                           d_keys, workspace_);
    };
  };
  const auto cosine = [=, this](MatrixView x, MatrixView target, MatrixView dx) {
    return [=, this] { backend_.cosine_loss(x, target, state_.data(), 1.0f, loss, dx, workspace_); };
  };
  const auto decode = [=, this](MatrixView cosines, float temperature, MatrixView d_cosines) {
    return [=, this] { backend_.decoder_loss(cosines, temperature, state_.data(), 1.0f, loss, d_cosines); };
  };
  const MatrixView good = m(4, 3), bad = m(3, 4), none = m(0, 3);
  const PairView pair{good, good};
  const std::vector<Refusal> others = {
      {"contrastive_alignment: there must be a row and a column", align(none, none, 0.1f, none, none)},
      {"contrastive_alignment: visual is 3 x 4 and must be 4 x 3", align(good, bad, 0.1f, good, good)},
      {"contrastive_alignment: d_text is 3 x 4 and must be 4 x 3", align(good, good, 0.1f, bad, good)},
      {"contrastive_alignment: d_visual is 3 x 4 and must be 4 x 3", align(good, good, 0.1f, good, bad)},
      {"contrastive_alignment: temperature is 0.020000 and must be 0.025 or larger",
       align(good, good, 0.02f, good, good)},
      {"contrastive_alignment: there are more samples than rows",
       [=, this] {
         backend_.contrastive_alignment(good, good, 0.1f, false, i(5), 1.0f, loss, good, good, workspace_);
       }},
      {"l2_distance: the workspace must be aligned to 64 bytes, and not null",
       [=, this] {
         const Workspace whole = workspace_;
         backend_.l2_distance(good, good, 1.0f, loss, good, good, {whole.data + 4, whole.size - 4});
       }},
      {"l2_distance: the workspace must be aligned to 64 bytes, and not null",
       [=, this] {
         backend_.l2_distance(good, good, 1.0f, loss, good, good, {nullptr, 4096});
       }},
      {"l2_distance: there must be a row and a column", apart(none, none, none, none)},
      {"l2_distance: unique is 3 x 4 and must be 4 x 3", apart(good, bad, good, good)},
      {"l2_distance: d_generic is 3 x 4 and must be 4 x 3", apart(good, good, bad, good)},
      {"l2_distance: d_unique is 3 x 4 and must be 4 x 3", apart(good, good, good, bad)},
      {"club: unique is 3 x 4 and must be 4 x 3", club(bad, 4, 3, 1, 20, good, good)},
      {"club: permutation has 3 elements and must have 4", club(good, 3, 3, 1, 20, good, good)},
      {"club: q must have the width of generic", club(good, 4, 2, 1, 14, good, good)},
      {"club: q must have a hidden unit", club(good, 4, 3, 0, 6, good, good)},
      {"club: parameters has 19 elements and must have 20", club(good, 4, 3, 1, 19, good, good)},
      {"club: d_generic is 3 x 4 and must be 4 x 3", club(good, 4, 3, 1, 20, bad, good)},
      {"club: d_unique is 3 x 4 and must be 4 x 3", club(good, 4, 3, 1, 20, good, bad)},
      {"club_fit: there must be one pair or two", fit({}, 1, 20, 20, 20)},
      {"club_fit: there must be one pair or two", fit({pair, pair, pair}, 1, 20, 20, 20)},
      {"club_fit: rows, columns and hidden units must be positive", fit({pair}, 0, 6, 6, 6)},
      {"club_fit: x is 3 x 4 and must be 4 x 3", fit({pair, {bad, good}}, 1, 20, 20, 20)},
      {"club_fit: y is 3 x 4 and must be 4 x 3", fit({{good, bad}}, 1, 20, 20, 20)},
      {"club_fit: parameters has 19 elements and must have 20", fit({pair}, 1, 19, 20, 20)},
      {"club_fit: first_moment has 19 elements and must have 20", fit({pair}, 1, 20, 19, 20)},
      {"club_fit: second_moment has 19 elements and must have 20", fit({pair}, 1, 20, 20, 19)},
      {"contrastive: there must be a query, a key and a column",
       contrast(none, good, 0, ContrastiveSettings{}, none, good)},
      {"contrastive: the temperature must be positive",
       contrast(good, good, 0, ContrastiveSettings{0.0f}, good, good)},
      {"contrastive: epsilon must not be negative",
       contrast(good, good, 0, ContrastiveSettings{1.0f, false, false, -1.0f}, good, good)},
      {"contrastive: keys is 5 x 3 and must be 4 x 3",
       contrast(good, m(5, 3), 0, ContrastiveSettings{}, good, m(5, 3))},
      {"contrastive: d_queries is 3 x 4 and must be 4 x 3",
       contrast(good, good, 0, ContrastiveSettings{}, bad, good)},
      {"contrastive: d_keys is 3 x 4 and must be 4 x 3",
       contrast(good, good, 0, ContrastiveSettings{}, good, bad)},
      {"contrastive: positives has 3 elements and must have 4",
       contrast(good, m(5, 3), 3, ContrastiveSettings{}, good, m(5, 3))},
      {"cosine_loss: there must be a row and a column", cosine(none, none, none)},
      {"cosine_loss: target is 3 x 4 and must be 4 x 3", cosine(good, bad, good)},
      {"cosine_loss: dx is 3 x 4 and must be 4 x 3", cosine(good, good, bad)},
      {"decoder_loss: there must be a row", decode(none, 1.0f, none)},
      {"decoder_loss: cosines is 3 x 4 and must be 3 x 3", decode(bad, 1.0f, good)},
      {"decoder_loss: d_cosines is 3 x 4 and must be 4 x 3", decode(good, 1.0f, bad)},
      {"decoder_loss: the temperature must be positive", decode(good, 0.0f, good)},
  };
  refusals.insert(refusals.end(), others.begin(), others.end());
  return refusals;
}

}  // namespace sea::test

using sea::test::Arguments;
using sea::test::check_refusals;

TEST_CASE("checks: rows and elements refuse what does not fit") {
  check_refusals(&Arguments::rows);
}

TEST_CASE("checks: graphs refuse what does not fit") {
  check_refusals(&Arguments::graphs);
}

TEST_CASE("checks: losses refuse what does not fit") {
  check_refusals(&Arguments::losses);
}
