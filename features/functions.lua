#!lua name=tideline_features
-- Feature rows: 1 byte version, 4 bytes of schema, 8 bytes event time (ms, big-endian), values: features/rows.py.

-- KEYS: row keys of one partition. ARGV[1]: seconds to keep, 0 for ever; ARGV[1 + i]: the row of KEYS[i].
-- A row older than the stored one of the same version and schema is dropped; a row of another is no row.
-- Returns how many rows were written.
-- Written first and compared after: a newer row is the rule, and then one call does both.
local function put_feature_rows(keys, args)
  local keep = tonumber(args[1])
  local function put(key, row)
    if keep == 0 then
      return redis.call('SET', key, row, 'GET')
    end
    return redis.call('SET', key, row, 'EX', keep, 'GET')
  end
  local written = #keys
  for i, key in ipairs(keys) do
    local row = args[i + 1]
    local stored = put(key, row)
    if stored and #stored >= 13 and stored:sub(1, 5) == row:sub(1, 5)
        and struct.unpack('>i8', stored, 6) > struct.unpack('>i8', row, 6) then
      put(key, stored)
      written = written - 1
    end
  end
  return written
end

redis.register_function('put_feature_rows', put_feature_rows)
