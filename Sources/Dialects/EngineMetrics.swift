// SPDX-License-Identifier: Apache-2.0
package import Units
package struct EngineMetrics: Sendable { package init() {} ; package var usedTokens: Tokens?; package var capacityTokens: Tokens?; package var running: Int?; package var promptTokens: Double?; package var generatedTokens: Double?; package var preemptions: Double?; package var waiting: Int?; package var isSleeping: Bool?; package var hasAny: Bool { usedTokens != nil } 
package static func probePlan(for kind: String) -> [ProbeStep] { [ProbeStep(path: "/metrics")] } }
package struct ProbeStep: Sendable { package var path: String; package func judge(status: Int, body: RawSpan, into: inout EngineMetrics) -> String? { status == 200 ? nil : "status \(status)" } }
