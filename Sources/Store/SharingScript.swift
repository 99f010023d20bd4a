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
///   of its lease and its account, under 8 KB (some 12 bytes for each of up to 64 cohorts and as
///   many of bounds, 25 for each of up to 80 runs; mostly far fewer).
/// - `{prefix:sharing}:reports`: a field for each gateway, with the end of its lease, when it was
///   written, and what `SharingText` makes of its report, under 13 KB.
///
/// A field that is not of this form, whoever wrote it, is deleted.
enum SharingScript {
    static let text = #"""
        -- KEYS: endpoint, reports.
        -- ARGV: gateway; now, empty but in tests; lease; account; want, empty or held, rest, width,
        -- limit, beside, rest to its bound, limit for that, key and tokens of each run; slack;
        -- easy; report, empty: others' are not asked for.
        -- Times in microseconds.
        local MOST, COHORTS, EXACTLY, HALF_BLOCK = 64, 64, 8, 8
        local RUNS, WANTED = 80, 16
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

        -- An account: slack, prefilling, committed, turnover, left, prompts, squares, common, how
        -- many cohorts, one more than there are of bounds or none, then place, held, rest and
        -- width of each cohort and of each of bounds, and key, tokens and place of each run.
        local HEAD = 10
        local function account(text)
            local list = numbers(text)
            if not list or #list < HEAD or list[9] > COHORTS or list[10] > COHORTS + 1 then
                return nil
            end
            local bounds = HEAD + 4 * list[9]
            local runs = bounds + 4 * math.max(0, list[10] - 1)
            if #list < runs or (#list - runs) % 3 ~= 0 or #list - runs > 3 * RUNS then
                return nil
            end
            for i = HEAD + 1, runs, 4 do
                if list[i] >= COHORTS or list[i + 1] > TOKENS or list[i + 2] > TOKENS
                    or list[i + 3] > WIDTH or list[i + 3] < 1 then return nil end
            end
            for i = runs + 1, #list, 3 do
                if list[i + 1] > TOKENS or list[i + 2] > COHORTS then return nil end
            end
            return {words = list, bounds = bounds, runs = runs}
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

        -- What several gateways hold together: what they begin alike counts once.
        local all = {
            sum = empty(), bounds = empty(), is_bounded = true, kept = 0, fixed = 0, alone = 0,
            runs = {},
        }
        local function count(run, sign)
            if run.place < COHORTS then
                join(all.sum, run.place, sign * run.tokens, 0, 0)
                all.alone = all.alone + sign * run.tokens
            else
                all.fixed = all.fixed + sign * run.tokens
            end
        end
        local function add_run(key, tokens, place)
            local run = all.runs[key]
            if not run then
                run = {tokens = tokens, place = place}
                all.runs[key] = run
            else
                count(run, -1)
                run.tokens = math.max(run.tokens, tokens)
                run.place = COHORTS
            end
            count(run, 1)
        end
        local function add(account)
            local list = account.words
            all.kept = all.kept + list[1]
            all.sum.squares = all.sum.squares + list[7]
            all.fixed = all.fixed + list[8]
            all.is_bounded = all.is_bounded and list[10] > 0
            for i = HEAD + 1, account.bounds, 4 do
                join(all.sum, list[i], list[i + 1], list[i + 2], list[i + 3])
            end
            for i = account.bounds + 1, account.runs, 4 do
                join(all.bounds, list[i], list[i + 1], list[i + 2], list[i + 3])
            end
            for i = account.runs + 1, #list, 3 do
                add_run(list[i], list[i + 1], list[i + 2])
            end
        end
        local function place_of(rest)
            if rest < 4 then return rest end
            local _, exponent = math.frexp(rest)
            local octave = exponent - 1
            return math.min(COHORTS - 1,
                4 * (octave - 1) + math.floor(rest / 2 ^ (octave - 2)) % 4)
        end
        local function peak_of(sum)
            local held, width, peak = 0, 0, 0
            for place = COHORTS - 1, 0, -1 do
                local cohort = sum[place]
                held = held + cohort[1] + HALF_BLOCK * cohort[3]
                peak = math.max(peak, held + cohort[2]
                    + math.floor(width * cohort[2] / math.max(1, cohort[3])))
                width = width + cohort[3]
            end
            return peak
        end
        local function projection()
            local sum = all.sum
            local peak = peak_of(sum)
            if sum.width > EXACTLY then
                local margin = math.floor(math.floor(math.sqrt(sum.squares)) / 4)
                peak = math.max(peak, sum.held + math.floor((sum.rest + 1) / 2) + margin)
            end
            return peak + all.fixed + all.kept
        end
        local function fits_bounds(most)
            return most > 0 and all.is_bounded and all.kept == 0
                and peak_of(all.bounds) + all.fixed + all.alone <= most
        end

        -- The account's words with one more among its cohorts, or among those of its bounds.
        local function with_cohort(list, first, last, place, held, rest, width)
            for i = first, last, 4 do
                if list[i] == place then
                    list[i + 1], list[i + 2], list[i + 3] =
                        list[i + 1] + held, list[i + 2] + rest, list[i + 3] + width
                    return 0
                end
            end
            for i, number in ipairs({place, held, rest, width}) do
                table.insert(list, last + i, number)
            end
            return 4
        end
        local function with_run(list, first, key, tokens, place)
            for i = first, #list, 3 do
                if list[i] == key then
                    list[i + 1], list[i + 2] = math.max(list[i + 1], tokens), COHORTS
                    return
                end
            end
            for _, number in ipairs({key, tokens, place}) do list[#list + 1] = number end
        end

        local own = account('0 ' .. ARGV[4])
        if not own then return redis.error_reply('ERR an account that is none') end
        local want = numbers(ARGV[5])
        if want and (#want < 7 or #want % 2 == 0 or #want > 7 + 2 * WANTED) then want = nil end
        local names, texts, accounts = live(KEYS[1], account)
        local granted, slack = false, 0
        if #names < MOST then
            for _, name in ipairs(names) do add(accounts[name]) end
            add(own)
            local joint = projection()
            local text = ARGV[4]
            if want then
                local held, rest, width = want[1], want[2] * want[3], want[3]
                local place, bound_place = place_of(want[2]), place_of(want[6])
                local square = math.min(rest, 2 ^ 24) ^ 2
                join(all.sum, place, held, rest, width)
                all.sum.squares = all.sum.squares + square
                join(all.bounds, bound_place, held, want[6] * width, width)
                for i = 8, #want, 2 do add_run(want[i], want[i + 1], place) end
                local with = projection()
                granted = (joint <= want[5] and with <= want[4]) or fits_bounds(want[7])
                if granted then
                    joint = with
                    local list, bounds, runs = own.words, own.bounds, own.runs
                    list[7] = list[7] + square
                    local more = with_cohort(list, HEAD + 1, bounds, place, held, rest, width)
                    list[9], bounds, runs = list[9] + more / 4, bounds + more, runs + more
                    if list[10] > 0 then
                        more = with_cohort(
                            list, bounds + 1, runs, bound_place, held, want[6] * width, width)
                        list[10], runs = list[10] + more / 4, runs + more
                    end
                    for i = 8, #want, 2 do
                        with_run(list, runs + 1, want[i], want[i + 1], place)
                    end
                    local words = {}
                    for i = 2, #list do words[i - 1] = whole(list[i]) end
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
