// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Ledger
import Policy

/// A ledger's files as a reader finds them.
public enum LedgerFiles {
    /// The most names in a folder that are looked at.
    private static let mostNames = 1_000_000

    /// The paths of the full files of the ledger at `path`, oldest first.
    public static func full(_ path: String) throws(SystemFault) -> [String] {
        let folder = Files.folder(of: path)
        let prefix = folder == "." ? "" : folder
        let name = String(path.dropFirst(prefix.count))
        let names = try Files.names(in: folder, limit: mostNames)
        return LedgerNames.full(name, among: names).map { prefix + $0 }
    }

    /// Adds up all lines of the ledger at `path`, its full files first. The present one is opened
    /// before they are looked for: whichever is renamed meanwhile is read, and counts once.
    /// False when it is more than memory is kept for.
    public static func add(_ path: String, to sums: inout UsageSums) throws(SystemFault) -> Bool {
        var present: LineReader?
        do throws(SystemFault) {
            present = try LineReader(path, longest: LedgerLine.mostBytes)
        } catch {
            guard error == .notFound else { throw error }
            present = nil
        }
        let full = try full(path)
        if present == nil, full.isEmpty { throw .notFound }
        for older in full {
            var reader: LineReader
            do throws(SystemFault) {
                reader = try LineReader(older, longest: LedgerLine.mostBytes)
            } catch {
                // It was the oldest, and is gone.
                if error == .notFound { continue }
                throw error
            }
            guard try read(&reader, &sums) else { return false }
        }
        guard var reader = present.take() else { return true }
        return try read(&reader, &sums)
    }

    private static func read(
        _ reader: inout LineReader, _ sums: inout UsageSums
    ) throws(SystemFault) -> Bool {
        var isTooMany = false
        while !isTooMany {
            let found = try reader.next { line in
                if line.byteCount > 0 { isTooMany = sums.add(line) == .tooMany }
            }
            switch found {
            case .line: continue
            case .tooLong: sums.addBroken()
            case .end: return true
            }
        }
        return false
    }
}
