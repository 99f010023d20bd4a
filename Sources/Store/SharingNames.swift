// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// What classes, tenants, models and endpoints are called among gateways: a hash of their names,
/// since places in tables differ from process to process.
public struct SharingNames: Sendable {
    private var classes: [UInt64] = []
    private var tenants: [UInt64] = []
    private var models: [UInt64] = []
    private var endpoints: [UInt64] = []
    private var classPlaces: [UInt64: Int] = [:]
    private var tenantPlaces: [UInt64: Int] = [:]
    private var modelPlaces: [UInt64: Int] = [:]
    private var endpointPlaces: [UInt64: Int] = [:]

    /// Those of a configuration.
    public init(_ policy: Policy) {
        classes = policy.classes.map { Self.hash("class", $0.name) }
        tenants = policy.tenants.map { Self.hash("tenant", $0.name) }
        models = policy.models.map { Self.hash("model", $0.name) }
        endpoints = policy.endpoints.map {
            Self.hash(policy.pools[$0.pool.index].name, "\($0.authority)")
        }
        for (place, hash) in classes.enumerated() { classPlaces[hash] = place }
        for (place, hash) in tenants.enumerated() { tenantPlaces[hash] = place }
        for (place, hash) in models.enumerated() { modelPlaces[hash] = place }
        for (place, hash) in endpoints.enumerated() { endpointPlaces[hash] = place }
    }

    /// FNV-1a over both, with a byte between that is in no name.
    private static func hash(_ first: String, _ second: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in first.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash = (hash ^ 0xFF) &* 0x100_0000_01B3
        for byte in second.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    static func hexadecimal(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// What its key in Redis ends with; nil for one that the configuration does not have.
    public func word(_ endpoint: EndpointID) -> String? { Self.word(endpoint.index, endpoints) }

    func word(_ trafficClass: ClassID) -> String? { Self.word(trafficClass.index, classes) }
    func word(_ tenant: TenantID) -> String? { Self.word(tenant.index, tenants) }
    func word(_ model: ModelID) -> String? { Self.word(model.index, models) }

    func words(_ trafficClass: ClassID, _ tenant: TenantID) -> String? {
        guard let first = word(trafficClass), let second = word(tenant) else { return nil }
        return "\(first) \(second)"
    }

    private static func word(_ place: Int, _ table: [UInt64]) -> String? {
        place < table.count ? hexadecimal(table[place]) : nil
    }

    func trafficClass(_ word: Substring) -> ClassID? {
        Self.place(word, classPlaces).map { ClassID($0) }
    }
    func tenant(_ word: Substring) -> TenantID? {
        Self.place(word, tenantPlaces).map { TenantID($0) }
    }
    func model(_ word: Substring) -> ModelID? {
        Self.place(word, modelPlaces).map { ModelID($0) }
    }

    func endpoint(_ word: Substring) -> EndpointID? {
        Self.place(word, endpointPlaces).map { EndpointID($0) }
    }

    private static func place(_ word: Substring, _ places: [UInt64: Int]) -> Int? {
        UInt64(word, radix: 16).flatMap { places[$0] }
    }
}
