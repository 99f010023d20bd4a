// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// Counted texts as a report.
struct CountTable {
    private let rows: [CountedText]

    init(_ rows: [CountedText]) { self.rows = rows }

    // MARK: table

    /// A line for each text, with the estimate's error beside, and one for all.
    var text: String {
        var lines = [["bytes", "estimate", "exact", "error", "file"]]
        for row in rows {
            let name = row.line.map { "\(row.file):\($0)" } ?? row.file
            lines.append(Self.cells(row.bytes, row.estimate, row.exact, name))
        }
        if rows.count > 1 {
            let exact = rows.allSatisfy { $0.exact != nil }
            lines.append(
                Self.cells(
                    rows.reduce(0) { $0 + $1.bytes }, rows.reduce(0) { $0 + $1.estimate },
                    exact ? rows.reduce(0) { $0 + ($1.exact ?? 0) } : nil, "total"))
        }
        let widths = lines[0].indices.map { place in lines.map { $0[place].count }.max() ?? 0 }
        return lines.map { line in
            line.indices.dropLast().map { place in
                String(repeating: " ", count: widths[place] - line[place].count) + line[place]
            }.joined(separator: "  ") + "  \(line[line.count - 1])\n"
        }.joined()
    }

    private static func cells(
        _ bytes: Int, _ estimate: Int, _ exact: Int?, _ name: String
    ) -> [String] {
        ["\(bytes)", "\(estimate)", exact.map { "\($0)" } ?? "-", error(estimate, exact), name]
    }

    /// In per cent, with one digit behind the point.
    private static func error(_ estimate: Int, _ exact: Int?) -> String {
        guard let exact, exact > 0 else { return "-" }
        let tenths = (Double(estimate - exact) * 1_000 / Double(exact)).rounded()
        let whole = Int(tenths.magnitude)
        return "\(tenths < 0 ? "-" : "+")\(whole / 10).\(whole % 10) %"
    }

    // MARK: JSON

    var json: String {
        var written = ByteBuffer()
        JSONWriter.write(into: &written) { writer in
            writer.beginArray()
            for row in rows { Self.write(row, &writer) }
            writer.endArray()
        }
        return unsafe String(decoding: unsafe written.readable, as: UTF8.self) + "\n"
    }

    private static func write(_ row: CountedText, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("file", row.file)
        writer.member("line", row.line)
        writer.member("bytes", row.bytes)
        writer.member("estimate", row.estimate)
        writer.key("exact")
        if let exact = row.exact { writer.int(exact) } else { writer.null() }
        if let ids = row.ids {
            writer.key("ids")
            writer.beginArray()
            for id in ids { writer.int(Int(id)) }
            writer.endArray()
        }
        writer.endObject()
    }
}
