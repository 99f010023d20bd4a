// SPDX-License-Identifier: Apache-2.0

import Testing
import Units

@Suite("CivilDate")
struct CivilDateTests {
    @Test(
        "known days",
        arguments: [
            (0, 1970, 1, 1), (-1, 1969, 12, 31), (58, 1970, 2, 28), (59, 1970, 3, 1),
            (789, 1972, 2, 29), (11_016, 2000, 2, 29), (11_017, 2000, 3, 1),
            (19_723, 2024, 1, 1), (19_782, 2024, 2, 29), (20_088, 2024, 12, 31),
            (47_540, 2100, 2, 28), (47_541, 2100, 3, 1), (-719_468, 0, 3, 1),
            (-719_528, 0, 1, 1), (-719_529, -1, 12, 31), (2_932_896, 9999, 12, 31),
        ])
    func known(days: Int, year: Int, month: Int, day: Int) {
        let date = CivilDate(daysSinceEpoch: days)
        #expect(date.year == year)
        #expect(date.month == month)
        #expect(date.day == day)
    }

    @Test("each day follows the one before it, over two eras")
    func successive() {
        func isLeap(_ year: Int) -> Bool {
            year % 4 == 0 && year % 100 != 0 || year % 400 == 0
        }
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var last = CivilDate(daysSinceEpoch: -150_000)
        for day in -149_999...150_000 {
            let date = CivilDate(daysSinceEpoch: day)
            var length = lengths[last.month - 1]
            if last.month == 2, isLeap(last.year) { length += 1 }
            let follows =
                last.day < length
                ? (last.year, last.month, last.day + 1)
                : last.month < 12 ? (last.year, last.month + 1, 1) : (last.year + 1, 1, 1)
            guard follows == (date.year, date.month, date.day) else {
                Issue.record("day \(day) is \(date) after \(last)")
                return
            }
            last = date
        }
    }
}
