// SPDX-License-Identifier: Apache-2.0

/// Stops the process when `fact` is false: a bug of ours, never something that came from outside.
///
/// Checked in debug and release alike. Unlike `precondition`, the name is printed in release too.
@inlinable
public func invariant(
    _ fact: @autoclosure () -> Bool, _ name: StaticString,
    file: StaticString = #fileID, line: UInt = #line
) {
    if !fact() { broken(name, file: file, line: line) }
}

/// Stops the process: the place was proven unreachable, and was reached.
@inline(never)
public func broken(_ name: StaticString, file: StaticString = #fileID, line: UInt = #line) -> Never
{
    fatalError("invariant broken: \(name)", file: file, line: line)
}
