#!lua name=tideline
-- The timeline store's server-side functions. Every function touches only the keys it is given, all of one
-- partition. Ids pass 2^53 and Lua compares strings by the server's locale, so ids are compared as pairs
-- of 32-bit halves.

local HEADER, ENTRY, WITHDRAWN = 32, 32, 8

local function header(state, generation, ordered, floor_hi, floor_lo)
  return struct.pack('>c4BBHI4I4I4I4I4I4', 'TLIN', 1, state, 0, generation, ordered, floor_hi, floor_lo, 0, 0)
end

local function parse_header(s)
  local state = string.byte(s, 6)
  local generation, ordered, hi, lo = struct.unpack('>I4I4I4I4', s, 9)
  return state, generation, ordered, hi, lo
end

-- The halves of the id of the entry at position `at`, counted from 1.
local function id_at(s, at)
  local hi, lo = struct.unpack('>I4I4', s, HEADER + 1 + (at - 1) * ENTRY)
  return hi, lo
end

-- Whether the ids of all n entries strictly ascend; those of the first `ordered` are known to.
local function is_ascending(s, n, ordered)
  local unpack_id = struct.unpack
  local last_hi, last_lo = -1, -1
  if ordered > 0 then last_hi, last_lo = id_at(s, ordered) end
  for at = HEADER + 1 + ordered * ENTRY, #s - ENTRY + 1, ENTRY do
    local hi, lo = unpack_id('>I4I4', s, at)
    if hi < last_hi or (hi == last_hi and lo <= last_lo) then return false end
    last_hi, last_lo = hi, lo
  end
  return true
end

-- The id halves of all n entries and the positions 1..n in ascending order of id: by insertion when nearly
-- in order, else by a full sort.
local function sorted_order(s, n, ordered)
  local hi, lo, order, moves, budget = {}, {}, {}, 0, 8 * n
  for i = 1, n do
    hi[i], lo[i] = id_at(s, i)
    order[i] = i
  end
  for i = math.max(ordered, 1) + 1, n do
    local item = order[i]
    local h, l, j = hi[item], lo[item], i - 1
    while j > 0 do
      local other = order[j]
      local oh, ol = hi[other], lo[other]
      if oh < h or (oh == h and ol <= l) then break end
      order[j + 1] = other
      j = j - 1
    end
    order[j + 1] = item
    moves = moves + i - 1 - j
    if moves > budget then
      table.sort(order, function(a, b)
        if hi[a] ~= hi[b] then return hi[a] < hi[b] end
        if lo[a] ~= lo[b] then return lo[a] < lo[b] end
        return a < b
      end)
      return hi, lo, order
    end
  end
  return hi, lo, order
end

local function is_withdrawn(s, at)
  return math.floor(string.byte(s, at + 8) / WITHDRAWN) % 2 == 1
end

-- The stored form with its entries ascending, each id once (a withdrawn copy wins), the newest `length` kept.
local function trimmed(s, length)
  local state, generation, ordered, floor_hi, floor_lo = parse_header(s)
  local n = (#s - HEADER) / ENTRY
  local body, dropped_hi, dropped_lo
  if is_ascending(s, n, ordered) then
    local drop = math.max(n - length, 0)
    if drop > 0 then dropped_hi, dropped_lo = id_at(s, drop) end
    body = string.sub(s, HEADER + 1 + drop * ENTRY)
  else
    local hi, lo, order = sorted_order(s, n, ordered)
    local unique, count = {}, 0
    for i = 1, n do
      local item, last = order[i], unique[count]
      if last and hi[item] == hi[last] and lo[item] == lo[last] then
        if is_withdrawn(s, HEADER + 1 + (item - 1) * ENTRY) then unique[count] = item end
      else
        count = count + 1
        unique[count] = item
      end
    end
    local drop = math.max(count - length, 0)
    if drop > 0 then dropped_hi, dropped_lo = hi[unique[drop]], lo[unique[drop]] end
    local kept = {}
    for i = drop + 1, count do
      local at = HEADER + 1 + (unique[i] - 1) * ENTRY
      kept[i - drop] = string.sub(s, at, at + ENTRY - 1)
    end
    body = table.concat(kept)
  end
  if dropped_hi and (dropped_hi > floor_hi or (dropped_hi == floor_hi and dropped_lo > floor_lo)) then
    floor_hi, floor_lo = dropped_hi, dropped_lo
  end
  return header(state, (generation + 1) % 4294967296, #body / ENTRY, floor_hi, floor_lo) .. body
end

-- Bytes above which a timeline is trimmed: the last two characters of its key spread the moment, so that
-- timelines that fill in step are not all trimmed in one call.
local function limit_bytes(key, length, slack)
  local spread = (string.byte(key, -1) * 10 + string.byte(key, -2)) % 100
  return HEADER + ENTRY * (length + math.floor(slack * (50 + spread) / 100))
end

local function append_all(keys, args, create)
  local length, slack, appended = tonumber(args[1]), tonumber(args[2]), 0
  for i, key in ipairs(keys) do
    local blob = args[i + 2]
    local stored = server.call('STRLEN', key)
    if stored == 0 and create then
      blob = header(1, 0, 0, 0, 0) .. blob
    end
    if stored > 0 or create then
      stored = server.call('APPEND', key, blob)
      appended = appended + 1
      if stored > limit_bytes(key, length, slack) then
        server.call('SET', key, trimmed(server.call('GET', key), length), 'KEEPTTL')
      end
    end
  end
  return appended
end

-- deliver KEYS: home timelines; ARGV: length, slack, then the packed entries of each.
-- Only existing timelines are written; answers how many were.
server.register_function('deliver', function(keys, args) return append_all(keys, args, false) end)

-- append_outbox KEYS: outboxes; ARGV: length, slack, then the packed entries of each.
server.register_function('append_outbox', function(keys, args) return append_all(keys, args, true) end)

-- activate KEYS: the partition's activated set, then home timelines; ARGV: expiry in ms, then the reader ids.
-- A reader's first activation makes an empty complete timeline; later ones do nothing.
server.register_function('activate', function(keys, args)
  local made = 0
  for i = 2, #keys do
    if server.call('SADD', keys[1], args[i]) == 1 then
      if server.call('SET', keys[i], header(1, 0, 0, 0, 0), 'NX', 'PX', args[1]) then made = made + 1 end
    end
  end
  return made
end)

-- open_home KEYS: a home timeline, the partition's activated set; ARGV: expiry in ms, the reader id.
-- Makes sure that the timeline exists and collects deliveries; answers its stored form.
server.register_function('open_home', function(keys, args)
  server.call('SADD', keys[2], args[2])
  server.call('SET', keys[1], header(0, 0, 0, 0, 0), 'NX', 'PX', args[1])
  return server.call('GET', keys[1])
end)

-- fill_home KEYS: a home timeline; ARGV: expiry in ms, length, generation and stored length seen at the start,
-- floor, packed entries in ascending order. Replaces what was seen and keeps what was appended since. When the
-- timeline was rewritten meanwhile, everything is merged and the higher floor holds. Answers 1 when it was filled.
server.register_function('fill_home', function(keys, args)
  local key = keys[1]
  local length, generation, seen = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  local current = server.call('GET', key)
  if not current then return 0 end
  local _, now, _, hi, lo = parse_header(current)
  local new_hi, new_lo = struct.unpack('>I4I4', args[5])
  local rest
  if now == generation then
    rest = string.sub(current, seen + 1)
  else
    rest = string.sub(current, HEADER + 1)
    if hi > new_hi or (hi == new_hi and lo > new_lo) then new_hi, new_lo = hi, lo end
  end
  local merged = header(1, now, 0, new_hi, new_lo) .. args[6] .. rest
  server.call('SET', key, trimmed(merged, length), 'PX', args[1])
  return 1
end)

-- put_versioned KEYS: strings; ARGV: for each its value, which starts with an 8-byte version.
-- A lower version never overwrites; answers how many were written.
server.register_function('put_versioned', function(keys, args)
  local written = 0
  for i, key in ipairs(keys) do
    local new_hi, new_lo = struct.unpack('>I4I4', args[i])
    local old = server.call('GETRANGE', key, 0, 7)
    local newer = #old < 8
    if not newer then
      local hi, lo = struct.unpack('>I4I4', old)
      newer = new_hi > hi or (new_hi == hi and new_lo >= lo)
    end
    if newer then
      server.call('SET', key, args[i], 'KEEPTTL')
      written = written + 1
    end
  end
  return written
end)
