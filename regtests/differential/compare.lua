-- compare - what may differ between two mails, and nothing else: see normalise().
--
-- The list is fixed: the digits of Date; the number of `check duration`; four counters (active and backup servers,
-- sessions active, length of the queue), unless the scenario demands them to be exact; and headers that the plugin
-- adds, by name, each once. The number of requeued sessions is in the event, so it must be equal.
local compare = {}

local added_headers = {
	["Message-ID"] = true, ["MIME-Version"] = true, ["Content-Type"] = true,
	["Content-Transfer-Encoding"] = true, ["Auto-Submitted"] = true,
}

-- The part after the output of a check, which stands between quotes and may say anything.
local function split_after_info(text)
	local from, to = text:find(', info: "[^"]*"')

	if not from then return "", text end
	return text:sub(1, to), text:sub(to + 1)
end

local function normalise_text(text, exact_counters)
	local before, rest = split_after_info(text)

	rest = rest:gsub("^(.-, check duration: )%d+ms", "%1#ms", 1)
	if exact_counters then return before .. rest end
	rest = rest:gsub("%. %d+ active and %d+ backup servers left%.(.*) %d+ sessions active, (%d+) requeued, " ..
		"%d+ remaining in queue$", ". # active and # backup servers left.%1 # sessions active, %2 requeued, " ..
		"# remaining in queue")
	rest = rest:gsub("%. %d+ active and %d+ backup servers online%.(.*) (%d+) sessions requeued, " ..
		"%d+ total in queue$", ". # active and # backup servers online.%1 %2 sessions requeued, # total in queue")
	return before .. rest
end

-- The mail with what may differ made equal. has_added says whether its sender may add headers: each once.
function compare.normalise(data, options)
	local lines, seen, in_body, dropped = {}, {}, false, false

	data = data:gsub("#", "##") -- so that # alone is never a mail's own
	for line in data:gmatch("(.-)\r\n") do
		local name = not in_body and line:match("^([%w-]+): ")

		if line == "" then in_body = true end
		if in_body then
			lines[#lines + 1] = normalise_text(line, options.exact_counters)
		elseif dropped and line:find("^[ \t]") then
			-- a folded header that may be there
		elseif options.has_added and name and added_headers[name] and not seen[name] then
			seen[name], dropped = true, true
		else
			dropped = false
			if name == "Date" then line = line:gsub("%d", "#") end
			if name == "Subject" then line = normalise_text(line, options.exact_counters) end
			lines[#lines + 1] = line
		end
	end
	if data:sub(-2) ~= "\r\n" then lines[#lines + 1] = "(no CRLF at the end)" .. data:match("[^\n]*$") end
	return table.concat(lines, "\r\n")
end

local function by_server(mails, server_of)
	local servers = {}

	for _, mail in ipairs(mails) do
		local server = server_of(mail)

		servers[server] = servers[server] or {}
		table.insert(servers[server], mail)
	end
	return servers
end

-- A mail as comparable text: its envelope, then its bytes.
local function whole(mail, options)
	return ("HELO %s\nMAIL %s\nRCPT %s\n%s"):format(mail.helo, mail.from, table.concat(mail.to, " "),
		compare.normalise(mail.data, options))
end

local function show(mail)
	return mail and (mail.data:gsub("[^\n\32-\126]", function(c) return ("\\x%02x"):format(c:byte()) end)) or "(none)\n"
end

-- Compares what one sink got from each sender; the order counts for each server. Returns a list of differences.
function compare.mails(native, other, server_of, options)
	local differences = {}
	local a, b = by_server(native, server_of), by_server(other, server_of)
	local servers = {}

	for server in pairs(a) do servers[server] = true end
	for server in pairs(b) do servers[server] = true end
	for server in pairs(servers) do
		local x, y = a[server] or {}, b[server] or {}

		for i = 1, math.max(#x, #y) do
			local same = x[i] and y[i] and whole(x[i], { exact_counters = options.exact_counters }) ==
				whole(y[i], { exact_counters = options.exact_counters, has_added = options.has_added })

			if not same then
				differences[#differences + 1] = ("mail %d of %s (native has %d, the other %d)\n--- native\n%s--- other\n%s")
					:format(i, server, #x, #y, show(x[i]), show(y[i]))
				break -- the rest is out of step
			end
		end
	end
	table.sort(differences)
	return differences
end

return compare
