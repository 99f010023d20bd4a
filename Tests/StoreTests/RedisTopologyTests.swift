// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Store
import Testing

@Suite("What servers say of each other") struct RedisTopologyTests {
    private static let id = "07c37dfeb235213a872192d90877d0cd55635b91"

    private func asked() throws -> RedisTarget { try #require(RedisTarget("10.0.0.9:7000")) }

    /// The examples of the specification, and what redis-server 7.0 says of the others.
    @Test(arguments: [
        ("123456789", 0x31C3), ("", 0), ("foo", 12_182), ("{user1000}.following", 3_443),
        ("{user1000}.followers", 3_443), ("foo{}{bar}", 8_363), ("foo{{bar}}zap", 4_015),
        ("foo{bar}{zap}", 5_061), ("{penstock::acme}:used", 1_844),
    ])
    func aKeyHasOneSlot(key: String, slot: Int) { #expect(RedisSlot.of(key) == slot) }

    @Test func aClustersPrimariesAreFoundWithTheirSlots() throws {
        let text = """
            \(Self.id) 10.0.0.1:7001@17001 master - 0 1426238317239 4 connected 0-5460 16383
            \(Self.id) 10.0.0.2:7002@17002,name,shard-id=1 myself,master - 0 0 1 connected 5461
            \(Self.id) 10.0.0.3:7003@17003 slave \(Self.id) 0 1426238316232 2 connected
            \(Self.id) 10.0.0.4:7004@17004 master,fail - 0 1 2 connected 6000-7000
            \(Self.id) :7005@17005 master - 0 1 2 connected 7001 [93->-\(Self.id)]
            \(Self.id) 10.0.0.6:7006@17006 master - 0 1 2 connected

            """
        let nodes = try #require(RedisNodes(text, asked: try asked()))
        #expect(
            nodes.targets.map { "\($0.address)" }
                == ["10.0.0.1:7001", "10.0.0.2:7002", "10.0.0.9:7005"])
        #expect(nodes.targets.map(\.host) == ["10.0.0.1", "name", "10.0.0.9"])
        // Met, and without slots as yet.
        #expect(nodes.idle.map { "\($0.address)" } == ["10.0.0.6:7006"])
        let owned = [0, 5_460, 16_383, 5_461, 7_001, 5_462, 6_500, 93]
        #expect(owned.map { nodes.owners[$0] } == [0, 0, 0, 1, 2, -1, -1, 0])
    }

    @Test(arguments: [
        "", "nonsense", "a b c", "\(id) 10.0.0.1:7001@17001 master - 0 1 2 connected 0-16384",
        "\(id) 10.0.0.1:7001@17001 master - 0 1 2 connected 9-3",
        "\(id) 10.0.0.1:7001@17001 master - 0 1 2 connected x",
        "\(id) name:7001@17001 master - 0 1 2 connected 0",
        "\(id) 10.0.0.1:99999@17001 master - 0 1 2 connected 0",
    ])
    func whatMakesNoSenseIsNone(text: String) throws {
        #expect(RedisNodes(text, asked: try asked()) == nil)
    }

    @Test func moreThanAClusterHasIsNone() throws {
        let line = { (port: Int) in
            "\(Self.id) 10.0.0.1:\(port)@1 master - 0 1 2 connected \(port)\n"
        }
        let most = (1...RedisNodes.most).map(line).joined()
        #expect(RedisNodes(most, asked: try asked())?.targets.count == RedisNodes.most)
        #expect(RedisNodes(most + line(9_999), asked: try asked()) == nil)
    }

    @Test(arguments: [
        ("mymaster", "127.0.0.1:6379"), ("other", "[::1]:6380"), ("third", nil), ("my", nil),
    ])
    func aSentinelNamesAMaster(name: String, address: String?) {
        let text =
            "# Sentinel\r\nsentinel_masters:2\r\nsentinel_tilt:0\r\n"
            + "master0:name=mymaster,status=ok,address=127.0.0.1:6379,slaves=1,sentinels=3\r\n"
            + "master1:name=other,status=odown,address=::1:6380,slaves=0,sentinels=3\r\n"
            + "master2:name=third,status=ok,address=redis:6380,slaves=0,sentinels=3\r\n"
        #expect(RedisNodes.master(name, in: text).map { "\($0.address)" } == address)
    }
}
