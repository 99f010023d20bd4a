// SPDX-License-Identifier: Apache-2.0

/// A text and what the reference estimates for it, in 1/12288 token.
struct EstimateRow: Sendable {
    var text: String
    var units: Int

    init(_ units: Int, _ text: String) {
        self.text = text
        self.units = units
    }

    /// Computed by an independent implementation over the same coefficients (Llama 3): the sum of
    /// the transitions between byte classes, at least a twelfth of the bytes, at most all of them.
    /// The texts were written for this file.
    static let all: [EstimateRow] = natural + formal

    private static let natural: [EstimateRow] = [
        EstimateRow(122_880, "Every request is measured before it may enter the queue."),
        EstimateRow(
            221_184,
            "The keeper opens the gate only as far as the turbine can swallow, and not a hand"
                + " wider."),
        EstimateRow(
            291_162,
            "Jede Anfrage wird gemessen, bevor sie in die Warteschlange darf; übergroße weist"
                + " der Wärter ab."),
        EstimateRow(
            318_003,
            "Chaque requête est mesurée avant d'entrer dans la file, et le gardien compte à v"
                + "oix haute."),
        EstimateRow(
            256_995,
            "Cada petición se mide antes de entrar en la cola, y mañana será otro día."),
        EstimateRow(
            313_854,
            "Ogni richiesta viene misurata prima di entrare; così la turbina non si ferma mai"
                + "."),
        EstimateRow(
            243_858,
            "Cada pedido é medido antes de entrar na fila, e ninguém espera em vão."),
        EstimateRow(211_986, "Elke aanvraag wordt gemeten voordat zij de rij in mag."),
        EstimateRow(278_220, "Varje förfrågan mäts innan den släpps in i kön på ön."),
        EstimateRow(206_940, "Hver forespørsel måles før den får stå i køen."),
        EstimateRow(225_183, "Jokainen pyyntö mitataan ennen kuin se pääsee jonoon."),
        EstimateRow(216_573, "Każde żądanie jest mierzone, zanim trafi do kolejki."),
        EstimateRow(204_639, "Každý požadavek se změří, než smí do fronty."),
        EstimateRow(253_410, "Minden kérést megmérünk, mielőtt beléphet a sorba."),
        EstimateRow(171_141, "Fiecare cerere este măsurată înainte să intre în coadă."),
        EstimateRow(273_924, "Her istek kuyruğa girmeden önce ölçülür, çünkü türbin sınırlıdır."),
        EstimateRow(208_896, "Mỗi yêu cầu đều được đo trước khi vào hàng đợi."),
        EstimateRow(166_653, "Setiap permintaan diukur sebelum boleh masuk antrean."),
        EstimateRow(201_252, "Каждый запрос измеряется, прежде чем попасть в очередь."),
        EstimateRow(227_835, "Кожен запит вимірюється, перш ніж потрапити до черги."),
        EstimateRow(258_270, "Всяка заявка се измерва, преди да влезе в опашката."),
        EstimateRow(199_260, "Κάθε αίτημα μετριέται πριν μπει στην ουρά."),
        EstimateRow(449_844, "כל בקשה נמדדת לפני שהיא נכנסת לתור."),
        EstimateRow(116_886, "كل طلب يقاس قبل أن يدخل الطابور."),
        EstimateRow(171_945, "هر درخواست پیش از ورود به صف اندازه\u{200C}گیری می\u{200C}شود."),
        EstimateRow(282_231, "हर अनुरोध कतार में जाने से पहले मापा जाता है।"),
        EstimateRow(295_182, "প্রতিটি অনুরোধ সারিতে ঢোকার আগে মাপা হয়।"),
        EstimateRow(1_037_997, "ஒவ்வொரு கோரிக்கையும் வரிசையில் நுழையும் முன் அளக்கப்படுகிறது."),
        EstimateRow(162_432, "ทุกคำขอจะถูกวัดก่อนเข้าคิว"),
        EstimateRow(159_984, "每个请求在进入队列之前都要先称重。"),
        EstimateRow(192_207, "每個請求在進入佇列之前都要先量過。"),
        EstimateRow(163_266, "すべての要求は、列に入る前に計られます。"),
        EstimateRow(187_872, "모든 요청은 대기열에 들어가기 전에 측정됩니다."),
        EstimateRow(915_915, "ყოველი მოთხოვნა იზომება რიგში შესვლამდე."),
        EstimateRow(980_691, "Յուրաքանչյուր հարցում չափվում է մինչև հերթ մտնելը։"),
    ]

    private static let formal: [EstimateRow] = [
        EstimateRow(171_486, "def admit(request):\n    return request.tokens <= budget.left\n"),
        EstimateRow(216_537, "func settle(_ held: Tokens) -> Bool { held.count > 0 && !closed }\n"),
        EstimateRow(255_456, "if (fd < 0) { perror(\"open\"); return -1; } /* never reached */\n"),
        EstimateRow(
            352_314,
            "SELECT tenant, SUM(tokens) FROM usage WHERE day = '2026-11-24' GROUP BY tenant O"
                + "RDER BY 2 DESC;"),
        EstimateRow(
            259_335,
            "const total = items.reduce((sum, { price, n }) => sum + price * n, 0);"),
        EstimateRow(
            307_356,
            "<html><body class=\"dark\"><p id='x'>Water &amp; gate</p></body></html>"),
        EstimateRow(
            296_919,
            "{\"tenant\":\"acme\",\"limits\":{\"tokens_per_minute\":200000,\"open\":true,\"no"
                + "te\":null}}"),
        EstimateRow(371_805, "tenant,tokens,cost\nacme,120034,0.40\nbolt,99,0.01\nacme,7,0.00\n"),
        EstimateRow(
            276_201,
            "[package]\nname = \"gate\"\nversion = \"0.1.0\"\n\n[features]\ndefault = []\n"),
        EstimateRow(
            477_264,
            "2026-11-24T15:39:03.250Z INFO worker=3 admitted id=7f3a9c tokens=1204 wait=18ms"),
        EstimateRow(
            389_907,
            "curl -sS -H 'Content-Type: application/json' http://127.0.0.1:8080/v1/models | h"
                + "ead -n 5"),
        EstimateRow(
            479_817,
            "#include <stdint.h>\nstatic inline uint64_t rotl(uint64_t x, int k) { return (x "
                + "<< k) | (x >> (64 - k)); }\n"),
        EstimateRow(
            254_250,
            "# Gate\n\n- opens **slowly**\n- closes _at once_\n\n```sh\nmake run\n```\n"),
        EstimateRow(262_977, "\\frac{n!}{k!(n-k)!} = \\binom{n}{k} \\quad \\forall k \\le n"),
        EstimateRow(
            638_778,
            "SGVsbG8gZnJvbSB0aGUga2VlcGVyIG9mIHRoZSBnYXRlLCBub3QgYSBoYW5kIHdpZGVyIQ=="),
        EstimateRow(
            502_746,
            "550e8400-e29b-41d4-a716-446655440000 de305d54-75b4-431b-adb2-eb6b9e546014"),
        EstimateRow(392_844, "3.14159265358979 2.71828182845905 1.41421356237310 0.57721566490153"),
        EstimateRow(368_565, "192.168.0.1 10.0.0.255 ::1 fe80::1ff:fe23:4567:890a"),
        EstimateRow(82_290, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        EstimateRow(225_807, "0000000000000000000000000000000000000000000000000000"),
        EstimateRow(90_021, "!!!???...---***===///\\\\\\___|||~~~"),
        EstimateRow(71_205, "    \t\t\n\n\n        \r\n   "),
        EstimateRow(111_624, "GATE OPEN -- GATE CLOSED -- GATE OPEN"),
        EstimateRow(
            196_488,
            "camelCaseNames and snake_case_names and kebab-case-names and SCREAMING_CASE"),
        EstimateRow(319_791, "🌊🌊🚪➡\u{FE0F}⚙\u{FE0F}💧 the gate is open 🎉"),
        EstimateRow(12_288, "a"),
        EstimateRow(0, ""),
        EstimateRow(9_225, " "),
        EstimateRow(1_024, "\n"),
        EstimateRow(20_484, "é"),
        EstimateRow(13_959, "水"),
        EstimateRow(12_288, "0"),
        EstimateRow(15_915, "\u{0}\u{1}\u{2}"),
        EstimateRow(35_622, "\u{A0}\u{200B}\u{2028}"),
        EstimateRow(306_735, "Zażółć gęślą jaźń; 東京 and Москва and القاهرة in one line."),
        EstimateRow(377_715, "¿Qué? ¡Sí! «Oui» „Ja“ ‘no’ “yes” — … €5 £6 ¥7"),
        EstimateRow(280_584, "x = y + z * (a - b) / c % d ^ e & f | g ~ h;"),
        EstimateRow(206_871, "https://example.org/a/b/c?x=1&y=2#z"),
        EstimateRow(196_608, "the the the the the the the the the the the the the the the the"),
        EstimateRow(
            1_186_236,
            "Lower the gate by two, wait, count to ten, and raise it by one. Lower the gate b"
                + "y two, wait, count to ten, and raise it by one. Lower the gate by two, wait, cou"
                + "nt to ten, and raise it by one. Lower the gate by two, wait, count to ten, and r"
                + "aise it by one. Lower the gate by two, wait, count to ten, and raise it by one. "
                + "Lower the gate by two, wait, count to ten, and raise it by one. "),
        EstimateRow(
            911_364,
            "量水、开闸、放流、关闸。量水、开闸、放流、关闸。量水、开闸、放流、关闸。量水、开闸、放流、关闸。量水、开闸、放流、关闸。量水、开闸、放流、关闸。量水、开闸、放流"
                + "、关闸。量水、开闸、放流、关闸。"),
        EstimateRow(
            858_672,
            "let n = 42; let n = 42; let n = 42; let n = 42; let n = 42; let n = 42; let n = "
                + "42; let n = 42; let n = 42; let n = 42; let n = 42; let n = 42; "),
        EstimateRow(543_774, "ખુલ્લો દરવાજો પાણી છોડે છે."),
        EstimateRow(558_999, "ប្រសិនបើទឹកឡើង យើងបើកទ្វារ។"),
        EstimateRow(166_614, "ຖ້ານ້ຳຂຶ້ນ ພວກເຮົາເປີດປະຕູ."),
    ]
}
