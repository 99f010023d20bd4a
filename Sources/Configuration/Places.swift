// SPDX-License-Identifier: Apache-2.0

/// Gives names their places in a dense table: a name that had one keeps it, whether or not it was
/// away in between; a new one gets the next.
struct Places {
    private var places: [String: Int] = [:]

    /// Names in the order of their places.
    init(_ names: [String]) {
        for (place, name) in names.enumerated() { places[name] = place }
    }

    var count: Int { places.count }

    subscript(name: String) -> Int? { places[name] }

    mutating func place(_ name: String) -> Int {
        if let place = places[name] { return place }
        let place = places.count
        places[name] = place
        return place
    }

    /// A table with the present entries at their places, and at the others what was there, retired.
    func table<Entry>(
        _ present: [(place: Int, entry: Entry)], before: [Entry], retired: (Entry) -> Entry
    ) -> [Entry] {
        var slots = before.map { Optional(retired($0)) }
        slots += Array(repeating: nil, count: count - slots.count)
        for (place, entry) in present { slots[place] = entry }
        return slots.map { checked($0) }
    }
}
