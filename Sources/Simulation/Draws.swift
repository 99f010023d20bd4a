// SPDX-License-Identifier: Apache-2.0

import Units

/// Random lengths and gaps, drawn with our own arithmetic: the same seed gives the same numbers on
/// every machine that has IEEE doubles.
extension SplitMix64 {
    /// Normal with mean 0 and variance 1: twelve uniforms would cut the tails, so Marsaglia's polar
    /// method.
    mutating func normal() -> Double {
        while true {
            let (first, second) = (2 * unit() - 1, 2 * unit() - 1)
            let square = first * first + second * second
            if square > 0, square < 1 {
                return first * (-2 * naturalLogarithm(square) / square).squareRoot()
            }
        }
    }

    /// The exponential of a normal with this mean and deviation.
    mutating func logNormal(_ mean: Double, _ deviation: Double) -> Double {
        naturalExponential(mean + deviation * normal())
    }

    /// A log-normal number of tokens, at least 1 and at most `most`.
    mutating func tokens(_ mean: Double, _ deviation: Double, most: Int) -> Tokens {
        Tokens(min(most, max(1, Int(min(logNormal(mean, deviation), 1e9)))))
    }

    /// Seconds to the next of events that come at `rate` a second, as Poisson's do.
    mutating func gap(rate: Double) -> Double { -naturalLogarithm(1 - unit()) / rate }
}

/// The pure rooms have no C library. ln x for x above zero: the exponent, and the series of
/// artanh((m − 1) ÷ (m + 1)) for a significand near 1.
func naturalLogarithm(_ value: Double) -> Double {
    var exponent = Double(value.exponent)
    var significand = value.significand
    if significand > 1.414_213_562_373_095_1 {
        significand /= 2
        exponent += 1
    }
    let ratio = (significand - 1) / (significand + 1)
    let square = ratio * ratio
    var sum = 0.0
    for power in stride(from: 25, through: 1, by: -2) { sum = sum * square + 1 / Double(power) }
    return 2 * ratio * sum + exponent * 0.693_147_180_559_945_3
}

/// e to the power of `value`: a power of two, and a series for the rest.
func naturalExponential(_ value: Double) -> Double {
    let bounded = min(max(value, -700), 700)
    let doublings = (bounded / 0.693_147_180_559_945_3).rounded()
    let rest = bounded - doublings * 0.693_147_180_559_945_3
    var sum = 1.0
    for term in stride(from: 18, through: 1, by: -1) { sum = 1 + rest * sum / Double(term) }
    return Double(sign: .plus, exponent: Int(doublings), significand: sum)
}
