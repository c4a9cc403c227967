-- Posts one body over and over. Every answer must have status 200 and contain the expected text, so that a fast wrong
-- answer counts as a failure. The settings come from the environment; the last line of the output is JSON.
local expect = os.getenv("BENCH_EXPECT")
local threads = {}

wrk.method = "POST"
wrk.body = os.getenv("BENCH_BODY")
wrk.headers["Content-Type"] = "application/json"
if os.getenv("BENCH_KEY") then
  wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_KEY")
end

function setup(thread)
  table.insert(threads, thread)
end

function init()
  wrong = 0
  first_wrong = ""
end

function response(status, _, body)
  if status ~= 200 or not string.find(body, expect, 1, true) then
    wrong = wrong + 1
    if wrong == 1 then
      first_wrong = status .. " " .. string.sub(body, 1, 300)
    end
  end
end

local function quote(text)
  return '"' .. string.gsub(text, '[%c"\\]', function(c) return string.format("\\u%04x", string.byte(c)) end) .. '"'
end

function done(summary, latency)
  local wrong_sum, example = 0, ""
  for _, thread in ipairs(threads) do
    wrong_sum = wrong_sum + thread:get("wrong")
    if example == "" then
      example = thread:get("first_wrong")
    end
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"wrong":%d,"socket_errors":%d,"example":%s}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), wrong_sum,
    errors.connect + errors.read + errors.write + errors.timeout, quote(example)))
end
