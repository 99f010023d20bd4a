// SPDX-License-Identifier: Apache-2.0

/// The scripts of the ledger's stream: one adds a batch of entries exactly once, one reads a page.
///
/// They run in Redis 5 and later and use the commands GET, SET, XADD, XTRIM, XRANGE. Keys, with one
/// hash tag: the stream, and for each process `…:seen:<process>` with the number of its last entry,
/// which expires two days after it. Each element of the stream has one field, `entry`, with the
/// line.
enum LedgerScript {
    /// For how long a process may be without Redis, and still not write an entry twice.
    static let seenMilliseconds = 172_800_000

    static let append = #"""
        -- KEYS: stream, seen.
        -- ARGV: number of the first entry; most entries; milliseconds that seen lives; entries.
        local first, seen = tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[2]) or '0') or 0
        local added = 0
        for place = 4, #ARGV do
            if first + place - 4 > seen then
                redis.call('XADD', KEYS[1], '*', 'entry', ARGV[place])
                added = added + 1
            end
        end
        local last = first + #ARGV - 4
        if last > seen then
            redis.call('SET', KEYS[2], string.format('%.0f', last), 'PX', ARGV[3])
        end
        local trimmed = redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[2])
        return string.format('appended %d %d', added, trimmed)
        """#

    static let read = #"""
        -- KEYS: stream. ARGV: first element; most of them.
        -- Gives the element to begin with next, empty at the end, and the lines.
        local found = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
        local lines = {''}
        for _, element in ipairs(found) do
            local line = '?'
            for place = 1, #element[2], 2 do
                if element[2][place] == 'entry' then line = element[2][place + 1] end
            end
            lines[#lines + 1] = string.sub(string.gsub(line, '\n', ' '), 1, 8192)
        end
        if #found > 0 then
            local time, number = string.match(found[#found][1], '(%d+)-(%d+)')
            lines[1] = string.format('%s-%.0f', time, tonumber(number) + 1)
        end
        return table.concat(lines, '\n')
        """#

    /// The key of what was seen of a process, on the same node of a cluster as the stream.
    static func seenKey(_ stream: String, _ gateway: UInt64) -> String {
        let digits = String(gateway, radix: 16)
        let name = String(repeating: "0", count: 16 - digits.utf8.count) + digits
        return stream.utf8.contains(0x7B) ? "\(stream):seen:\(name)" : "{\(stream)}:seen:\(name)"
    }
}

/// One run of one of the ledger's scripts.
struct LedgerRun {
    let keys: [String]
    let arguments: [String]

    /// `first`: the number of the first of the entries.
    static func append(
        _ entries: [String], first: UInt64, key: String, seen: String, maxLength: Int
    ) -> LedgerRun {
        LedgerRun(
            keys: [key, seen],
            arguments: [
                String(first), String(maxLength), String(LedgerScript.seenMilliseconds),
            ] + entries)
    }
}
