// SPDX-License-Identifier: Apache-2.0

public import Policy

/// What images and sounds take of a prompt, by the rules of those who made the models.
public enum MediaTokens {
    /// A second of sound (Qwen2-Audio: 100 frames, halved twice).
    public static let perSecond = 25.0

    /// Of an image of unknown size: what most take at most.
    public static func image(_ family: TokenizerFamily) -> Int {
        switch family {
        case .o200k, .cl100k: 85 + 8 * 170
        case .claude: 1_600
        default: 1_280
        }
    }

    /// Of an image with sides of `width` and `height` pixels, both above zero.
    public static func image(
        width: Int, height: Int, isLow: Bool, _ family: TokenizerFamily
    ) -> Int {
        switch family {
        case .o200k, .cl100k: tiles(width, height, isLow: isLow)
        // Anthropic: sides of 1,568 pixels at most, a token for each 750 pixels.
        case .claude:
            min(1_600, max(1, Int(Double(width) * Double(height) / 750)))
        default: patches(width, height)
        }
    }

    /// OpenAI, gpt-4o: 85 and 170 for each tile of 512 pixels, once it is made to fit 2,048 by
    /// 2,048 pixels and its shorter side 768.
    private static func tiles(_ width: Int, _ height: Int, isLow: Bool) -> Int {
        guard !isLow else { return 85 }
        let long = Double(max(width, height))
        let short = Double(min(width, height))
        let scale = min(1, 2_048 / long, 768 / short)
        let count = { (side: Double) in max(1, Int((side * scale / 512).rounded(.up))) }
        return 85 + 170 * count(long) * count(short)
    }

    /// Qwen2-VL: sides to multiples of 28, 1,280 tokens at most, and one token at each end.
    private static func patches(_ width: Int, _ height: Int) -> Int {
        let area = Double(width) * Double(height)
        let scale = area > 1_003_520 ? (1_003_520 / area).squareRoot() : 1
        let count = { (side: Int) in max(1, Int((Double(side) * scale / 28).rounded())) }
        return min(1_280, max(4, count(width) * count(height))) + 2
    }
}
