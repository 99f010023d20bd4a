// SPDX-License-Identifier: Apache-2.0

/// The script by which gateways share endpoints: one call is one atomic exchange, by Redis's own
/// clock.
///
/// It is `SharedEndpoint` and `SharedReports` once more, on the same numbers; a test holds them
/// together. Change neither alone. It runs in Redis 5 and later and uses the commands TIME, TYPE,
/// DEL, HGETALL, HDEL, HSET and PEXPIRE.
///
/// Keys, with one hash tag, all expiring two leases after the last exchange:
/// - `{prefix:sharing}:endpoint:<hash of pool and address>`: a field for each gateway, with the end
///   of its lease and its account, under 2 KB (some 12 bytes for each of up to 64 cohorts, mostly
///   far fewer).
/// - `{prefix:sharing}:reports`: a field for each gateway, with the end of its lease, when it was
///   written, and what `SharingText` makes of its report, under 13 KB.
///
/// A field that is not of this form, whoever wrote it, is deleted.
enum SharingScript {
    static let text = #"""
        -- KEYS: endpoint, reports.
        -- ARGV: gateway; now, empty but in tests; lease; account; want, empty or held, rest, width,
        -- limit, beside; slack; easy; report, empty: others' are not asked for.
        -- Times in microseconds.
        local MOST, COHORTS, EXACTLY, HALF_BLOCK = 64, 64, 8, 8
        local TOKENS, WIDTH, SQUARES = 2 ^ 40, 2 ^ 20, 2 ^ 52
        local gateway, lease = ARGV[1], tonumber(ARGV[3])
        local now = tonumber(ARGV[2])
        if not now then
            local time = redis.call('TIME')
            now = tonumber(time[1]) * 1000000 + tonumber(time[2])
        end

        local function whole(number) return string.format('%.0f', number) end
        local function numbers(text)
            local list = {}
            for word in string.gmatch(text, '%S+') do
                local number = tonumber(word)
                if not number or number ~= math.floor(number) or number < 0
                    or number > SQUARES then return nil end
                list[#list + 1] = number
            end
            return list
        end

        -- An account: slack, prefilling, committed, turnover, left, prompts, squares, then place,
        -- held, rest and width of each cohort.
        local function account(text)
            local list = numbers(text)
            if not list or #list < 7 or (#list - 7) % 4 ~= 0 then return nil end
            for i = 8, #list, 4 do
                if list[i] >= COHORTS or list[i + 1] > TOKENS or list[i + 2] > TOKENS
                    or list[i + 3] > WIDTH or list[i + 3] < 1 then return nil end
            end
            return list
        end

        -- The live fields of others, by their gateways.
        local function live(key, accepts)
            local kind = redis.call('TYPE', key).ok
            if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end
            local flat = redis.call('HGETALL', key)
            local names, texts, parsed = {}, {}, {}
            for i = 1, #flat, 2 do
                local name = flat[i]
                local ends, rest = string.match(flat[i + 1], '^(%d+) (.*)$')
                ends = tonumber(ends)
                local value = ends and ends > now and ends <= now + 16 * lease
                    and string.match(name, '^%x+$') and #name == 16 and accepts(rest)
                if not value then
                    redis.call('HDEL', key, name)
                elseif name ~= gateway then
                    names[#names + 1] = name
                    texts[name] = rest
                    parsed[name] = value
                end
            end
            table.sort(names)
            return names, texts, parsed
        end
        local function keep(key, text)
            redis.call('HSET', key, gateway, whole(now + lease) .. ' ' .. text)
            redis.call('PEXPIRE', key, whole(math.ceil(lease / 500)))
        end

        local function empty()
            local sum = {held = 0, rest = 0, width = 0, squares = 0}
            for place = 0, COHORTS - 1 do sum[place] = {0, 0, 0} end
            return sum
        end
        local function join(sum, place, held, rest, width)
            local cohort = sum[place]
            cohort[1], cohort[2], cohort[3] =
                cohort[1] + held, cohort[2] + rest, cohort[3] + width
            sum.held, sum.rest, sum.width =
                sum.held + held, sum.rest + rest, sum.width + width
        end
        local function add(sum, list)
            sum.squares = sum.squares + list[7]
            for i = 8, #list, 4 do join(sum, list[i], list[i + 1], list[i + 2], list[i + 3]) end
        end
        local function place_of(rest)
            if rest < 4 then return rest end
            local _, exponent = math.frexp(rest)
            local octave = exponent - 1
            return math.min(COHORTS - 1,
                4 * (octave - 1) + math.floor(rest / 2 ^ (octave - 2)) % 4)
        end
        local function projection(sum)
            local held, width, peak = 0, 0, 0
            for place = COHORTS - 1, 0, -1 do
                local cohort = sum[place]
                if cohort[3] > 0 then
                    held = held + cohort[1] + HALF_BLOCK * cohort[3]
                    peak = math.max(peak,
                        held + cohort[2] + math.floor(width * cohort[2] / cohort[3]))
                    width = width + cohort[3]
                end
            end
            if sum.width <= EXACTLY then return peak end
            local margin = math.floor(math.floor(math.sqrt(sum.squares)) / 4)
            return math.max(peak, sum.held + math.floor((sum.rest + 1) / 2) + margin)
        end

        local own = account('0 ' .. ARGV[4])
        if not own then return redis.error_reply('ERR an account that is none') end
        local want = numbers(ARGV[5])
        local names, texts, accounts = live(KEYS[1], account)
        local granted, slack = false, 0
        if #names < MOST then
            local sum, kept = empty(), 0
            for _, name in ipairs(names) do
                add(sum, accounts[name])
                kept = kept + accounts[name][1]
            end
            add(sum, own)
            local joint = projection(sum) + kept
            local text = ARGV[4]
            if want and #want == 5 then
                local held, rest, width = want[1], want[2] * want[3], want[3]
                local place = place_of(want[2])
                local square = math.min(rest, 2 ^ 24) ^ 2
                join(sum, place, held, rest, width)
                sum.squares = sum.squares + square
                local with = projection(sum) + kept
                granted = joint <= want[5] and with <= want[4]
                if granted then
                    joint = with
                    own[7] = own[7] + square
                    local isNew = true
                    for i = 8, #own, 4 do
                        if own[i] == place then
                            own[i + 1], own[i + 2], own[i + 3] =
                                own[i + 1] + held, own[i + 2] + rest, own[i + 3] + width
                            isNew = false
                        end
                    end
                    if isNew then
                        for _, number in ipairs({place, held, rest, width}) do
                            own[#own + 1] = number
                        end
                    end
                    local words = {}
                    for i = 2, #own do words[i - 1] = whole(own[i]) end
                    text = table.concat(words, ' ')
                end
            end
            local left = math.floor(math.max(0, tonumber(ARGV[7]) - joint) / 2)
            slack = math.max(0, math.min(tonumber(ARGV[6]), left))
            keep(KEYS[1], whole(slack) .. ' ' .. text)
        end

        local lines = {(granted and '1 ' or '0 ') .. whole(slack)}
        for _, name in ipairs(names) do
            lines[#lines + 1] = 'E ' .. name .. ' ' .. texts[name]
        end
        if ARGV[8] ~= '' then
            local function written(text) return string.match(text, '^(%d+) .*$') end
            local others, reports, times = live(KEYS[2], written)
            if #others < MOST then keep(KEYS[2], whole(now) .. ' ' .. ARGV[8]) end
            for _, name in ipairs(others) do
                local age = math.max(0, now - tonumber(times[name]))
                lines[#lines + 1] = 'R ' .. name .. ' ' .. whole(age)
                    .. string.match(reports[name], '^%d+( .*)$')
            end
        end
        return table.concat(lines, '\n')
        """#
}
