// The mixes as data. Layers and roles are in mix.h.
#include <array>

#include "quantize/mix.h"

namespace llmrun::quantize {
namespace {

using enum Role;
using enum Layers;
using enum When;
using T = TensorType;

// Most mixes keep the output at 6 bits, and with eight experts the small attention matrices high.
constexpr Rule kOutput6{kOutput, T::Q6_K};
constexpr Rule kOutput5{kOutput, T::Q5_K};
constexpr Rule kValue8{kValue, T::Q8_0, kAll, kEightExperts};
constexpr Rule kKey8{kKey, T::Q8_0, kAll, kEightExperts};
constexpr Rule kAttention5{kAttentionOutput, T::Q5_K, kAll, kEightExperts};

constexpr std::array kPlain = {kOutput6, kValue8, kKey8};
constexpr std::array kPlainQ8 = {kValue8, kKey8};
constexpr std::array kQ4_0 = {kOutput6, kValue8, kKey8,
                              Rule{kFfnDown, T::Q4_1, kFirst8th, kWithImportance}};
constexpr std::array kQ5_0 = {kOutput6, kValue8, kKey8,
                              Rule{kFfnDown, T::Q5_1, kFirst8th, kWithImportance}};

constexpr std::array kQ2_K = {kOutput6,
                              kValue8,
                              kKey8,
                              kAttention5,
                              Rule{kValue, T::Q4_K, kAll, kManyQueries},
                              Rule{kValue, T::Q3_K},
                              Rule{kFfnDown, T::Q3_K},
                              Rule{kAttentionOutput, T::Q3_K}};
constexpr std::array kQ2_K_S = {kOutput6, kValue8, kKey8, Rule{kValue, T::Q4_K, kAll, kManyQueries},
                                Rule{kFfnDown, T::Q4_K, kFirst8th}};
constexpr std::array kQ3_K_S = {kOutput6, kValue8, kKey8, kAttention5};
constexpr std::array kQ3_K_M = {kOutput6,
                                kValue8,
                                kKey8,
                                kAttention5,
                                Rule{kValue, T::Q5_K, kFirstTwo},
                                Rule{kValue, T::Q4_K},
                                Rule{kFfnDown, T::Q5_K, kFirst16th},
                                Rule{kFfnDown, T::Q4_K},
                                Rule{kAttentionOutput, T::Q4_K},
                                Rule{kQueryKeyValue, T::Q4_K}};
constexpr std::array kQ3_K_L = {kOutput6,
                                kValue8,
                                kKey8,
                                Rule{kValue, T::Q5_K},
                                Rule{kFfnDown, T::Q5_K},
                                Rule{kAttentionOutput, T::Q5_K},
                                Rule{kQueryKeyValue, T::Q4_K}};
constexpr std::array kQ4_K_S = {kOutput6,
                                kValue8,
                                kKey8,
                                kAttention5,
                                Rule{kValue, T::Q5_K, kFirstFour},
                                Rule{kFfnDown, T::Q5_K, kFirst8th}};
constexpr std::array kQ4_K_M = {kOutput6,
                                kValue8,
                                kKey8,
                                kAttention5,
                                Rule{kValue, T::Q6_K, kMoreBits},
                                Rule{kFfnDown, T::Q6_K, kMoreBits},
                                Rule{kQueryKeyValue, T::Q5_K}};
constexpr std::array kQ5_K_M = {kOutput6,
                                kValue8,
                                kKey8,
                                Rule{kValue, T::Q6_K, kMoreBits},
                                Rule{kFfnDown, T::Q6_K, kMoreBits},
                                Rule{kQueryKeyValue, T::Q6_K}};

constexpr Rule kKey4{kKey, T::Q4_K, kAll, kEightExperts};
constexpr Rule kValue4{kValue, T::Q4_K, kAll, kManyQueriesOrExperts};
constexpr std::array kIq1 = {
    kOutput5, Rule{kEmbedding, T::Q2_K},          kValue4,     Rule{kValue, T::Q2_K},
    kKey4,    Rule{kFfnDown, T::Q2_K, kFirst8th}, kAttention5, Rule{kAttentionOutput, T::IQ2_XXS}};
constexpr std::array kIq2Xs = {
    kOutput5, Rule{kEmbedding, T::Q2_K},          kValue4,    Rule{kValue, T::Q2_K},
    kKey4,    Rule{kFfnDown, T::Q2_K, kFirst8th}, kAttention5};
constexpr std::array kIq2S = {
    kOutput5, Rule{kEmbedding, T::IQ3_S},          kValue4,     Rule{kValue, T::IQ3_S},
    kKey4,    Rule{kFfnDown, T::IQ3_S, kFirst8th}, kAttention5, Rule{kAttentionOutput, T::IQ3_S}};
constexpr std::array kIq3Xxs = {kOutput5,
                                Rule{kEmbedding, T::IQ3_S},
                                kValue8,
                                Rule{kValue, T::Q4_K, kAll, kManyQueries},
                                Rule{kValue, T::IQ3_S, kAll, kWithoutImportance},
                                kKey8,
                                Rule{kKey, T::IQ2_S},
                                Rule{kQuery, T::IQ2_S},
                                Rule{kFfnDown, T::IQ3_XXS, kAll, kWithImportance},
                                Rule{kFfnDown, T::Q4_K, kFirst8th},
                                Rule{kFfnDown, T::Q3_K},
                                kAttention5,
                                Rule{kAttentionOutput, T::IQ3_S}};
constexpr std::array kIq3Xs = {kOutput6,
                               kValue8,
                               Rule{kValue, T::Q4_K, kAll, kManyQueries},
                               kKey8,
                               Rule{kKey, T::IQ3_XXS},
                               Rule{kQuery, T::IQ3_XXS},
                               Rule{kFfnGateOrUp, T::IQ3_XXS, kMiddle},
                               kAttention5};
constexpr std::array kIq3S = {kOutput6, kValue8, Rule{kValue, T::Q4_K, kAll, kManyQueries}, kKey8,
                              kAttention5};
constexpr std::array kIq3M = {kOutput6,
                              kValue8,
                              Rule{kValue, T::Q4_K},
                              kKey8,
                              Rule{kFfnDown, T::Q4_K, kFirst8th},
                              kAttention5,
                              Rule{kAttentionOutput, T::Q4_K},
                              Rule{kQueryKeyValue, T::Q4_K}};
constexpr std::array kIq4 = {kOutput6,
                             kValue8,
                             Rule{kValue, T::Q5_K, kAll, kManyQueries},
                             kKey8,
                             Rule{kFfnDown, T::IQ4_XS, kAll, kWithImportance},
                             Rule{kFfnDown, T::Q5_K, kFirst8th},
                             kAttention5};
constexpr std::array kIq4Nl = {kOutput6,
                               kValue8,
                               Rule{kValue, T::Q5_K, kAll, kManyQueries},
                               kKey8,
                               Rule{kFfnDown, T::IQ4_NL, kAll, kWithImportance},
                               Rule{kFfnDown, T::Q5_K, kFirst8th},
                               kAttention5};
constexpr std::array kTernary = {kOutput6, Rule{kEmbedding, T::Q4_K}, kValue8, kKey8};
constexpr std::array kMxfp4Moe = {Rule{kAny, T::MXFP4, kAll, kStack}};

constexpr std::array kMixes = {
    Mix{"F32", 0, T::F32, {}, "no loss"},
    Mix{"BF16", 32, T::BF16, {}, "16 bits, the range of F32"},
    Mix{"F16", 1, T::F16, {}, "16 bits, up to 65504"},
    Mix{"Q8_0", 7, T::Q8_0, kPlainQ8, "8.5 bits: practically no loss"},
    Mix{"Q6_K", 18, T::Q6_K, kPlain, "6.6 bits: very small loss"},
    Mix{"Q5_K_M", 17, T::Q5_K, kQ5_K_M, "5.7 bits: small loss"},
    Mix{"Q5_K_S", 16, T::Q5_K, kPlain, "5.5 bits"},
    Mix{"Q5_1", 9, T::Q5_1, kPlain, "6 bits, the older kind"},
    Mix{"Q5_0", 8, T::Q5_0, kQ5_0, "5.5 bits, the older kind"},
    Mix{"Q4_K_M", 15, T::Q4_K, kQ4_K_M, "4.8 bits: the usual choice"},
    Mix{"Q4_K_S", 14, T::Q4_K, kQ4_K_S, "4.6 bits"},
    Mix{"IQ4_NL", 25, T::IQ4_NL, kIq4Nl, "4.5 bits, uneven steps"},
    Mix{"IQ4_XS", 30, T::IQ4_XS, kIq4, "4.3 bits, uneven steps"},
    Mix{"Q4_1", 3, T::Q4_1, kPlain, "5 bits, the older kind"},
    Mix{"Q4_0", 2, T::Q4_0, kQ4_0, "4.5 bits, the older kind"},
    Mix{"MXFP4_MOE", 38, T::Q8_0, kMxfp4Moe, "experts of 4.25 bits, the rest Q8_0"},
    Mix{"MXFP4", 38, T::MXFP4, kPlain, "4.25 bits, shared powers of two"},
    Mix{"NVFP4", 39, T::NVFP4, kPlain, "4.5 bits, FP8 scales"},
    Mix{"Q3_K_L", 13, T::Q3_K, kQ3_K_L, "4.1 bits"},
    Mix{"Q3_K_M", 12, T::Q3_K, kQ3_K_M, "3.8 bits: clear loss"},
    Mix{"Q3_K_S", 11, T::Q3_K, kQ3_K_S, "3.5 bits"},
    Mix{"IQ3_M", 27, T::IQ3_S, kIq3M, "3.7 bits"},
    Mix{"IQ3_S", 26, T::IQ3_S, kIq3S, "3.5 bits"},
    Mix{"IQ3_XS", 22, T::IQ3_S, kIq3Xs, "3.3 bits"},
    Mix{"IQ3_XXS", 23, T::IQ3_XXS, kIq3Xxs, "3.1 bits"},
    Mix{"Q2_K", 10, T::Q2_K, kQ2_K, "3.2 bits: large loss"},
    Mix{"Q2_K_S", 21, T::Q2_K, kQ2_K_S, "2.8 bits; give --importance"},
    Mix{"IQ2_M", 29, T::IQ2_S, kIq2S, "2.7 bits; give --importance"},
    Mix{"IQ2_S", 28, T::IQ2_XS, kIq2S, "2.5 bits; give --importance"},
    Mix{"IQ2_XS", 20, T::IQ2_XS, kIq2Xs, "2.4 bits; give --importance"},
    Mix{"IQ2_XXS", 19, T::IQ2_XXS, kIq2Xs, "2.1 bits; give --importance"},
    Mix{"IQ1_M", 31, T::IQ1_M, kIq1, "1.9 bits; give --importance"},
    Mix{"IQ1_S", 24, T::IQ1_S, kIq1, "1.7 bits; give --importance"},
    Mix{"TQ2_0", 37, T::TQ2_0, kTernary, "2.1 bits, for ternary models"},
    Mix{"TQ1_0", 36, T::TQ1_0, kTernary, "1.7 bits, for ternary models"},
    Mix{"Q2_0", std::nullopt, T::Q2_0, kTernary, "2.3 bits, for ternary models"},
    Mix{"Q1_0", 40, T::Q1_0, kTernary, "1.1 bits, for binary models"},
};

}  // namespace

std::span<const Mix> mixes() { return kMixes; }

}  // namespace llmrun::quantize
