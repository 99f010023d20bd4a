// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a line of Prometheus text; lines count from one.
public enum PrometheusFault: Error, Sendable, Equatable {
    case malformedName(line: Int)
    case malformedLabels(line: Int)
    case malformedValue(line: Int)
    /// Something stands behind the value that is neither a timestamp nor an exemplar.
    case trailingBytes(line: Int)
    /// The last line has no LF: what was received may have been cut in the middle of a number.
    case unfinishedLine(line: Int)
    case lineTooLong(line: Int, limit: Int)
    case tooManyLabels(line: Int, limit: Int)
    case tooManySamples(limit: Int)
}
