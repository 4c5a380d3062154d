-- Tries Socket:connect() with each text of an address table (ADDRESS_TABLE) inside of HAProxy, for run.sh.
-- Prints "<line> TAB accepted|refused|error TAB <message>" per row, then "end".
--
-- connect raises when a text does not parse; what it does when it does parse (refuse, wait) is not looked
-- at. Each row has a task of its own, because HAProxy tries a refused connection several times with
-- a second in between.
--
-- A socket whose connect raised is left to the garbage collector: close() of a socket that was never
-- connected ends HAProxy with a segmentation fault (3.4 and newer; a socket without any connect: older ones too).

-- How many looks, 100 ms apart, until a row that is still connecting counts as accepted: it got past the parser.
local LOOKS = 100

local rows, left = {}, 0

local function read_rows(path)
	local number = 0
	for line in io.lines(path) do
		number = number + 1
		local kind, text = line:match('^(%l+)[^"]*"(.*)"$')
		if kind == "accepted" or kind == "refused" then
			text = text:gsub("\\x(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
			rows[#rows + 1] = { line = number, text = text, port = line:find("^%l+ with port") and 1 }
		end
	end
	left = #rows
end

-- Only these two errors are verdicts on the text; any other is a failure of the test.
local function verdict_of(message)
	if message:find("cannot parse destination address", 1, true) or message:find("port missing", 1, true) then
		return "refused"
	end
	return "error"
end

local function try(row)
	local socket = core.tcp()
	row.verdict, row.message = "accepted", "still connecting"
	local parsed, message
	if row.port then
		parsed, message = pcall(socket.connect, socket, row.text, row.port)
	else
		parsed, message = pcall(socket.connect, socket, row.text)
	end
	row.verdict = parsed and "accepted" or verdict_of(tostring(message))
	row.message = parsed and "connect returned" or tostring(message)
	left = left - 1
	if parsed then
		socket:close()
	end
end

read_rows(os.getenv("ADDRESS_TABLE"))

core.register_task(function()
	for _, row in ipairs(rows) do
		core.register_task(try, row)
	end
	for _ = 1, LOOKS do
		if left == 0 then
			break
		end
		core.msleep(100)
	end
	for _, row in ipairs(rows) do
		print(string.format("%d\t%s\t%s", row.line, row.verdict or "error",
			(row.message or "not tried"):gsub("%c", "?")))
	end
	print("end")
	io.stdout:flush()
end)
