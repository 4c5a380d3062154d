-- selftest - proves that the comparison can fail: alters every byte of sample mails, and a real run's mails too.
--
-- In the samples [...] holds digits that may be others, and a line that starts with + is a header that only
-- the plugin adds. All else must be equal.
local compare = require("compare")

local selftest = {}

local samples = {
	{ text = "From: haproxy@example.org\r\nTo: admin@example.org\r\n" ..
		"Date: Tue, [03] Jun [2025] [09]:[41]:[07] +[0200] (CEST)\r\n" ..
		'Subject: [HAProxy Alert] Server be1/s2 is DOWN, reason: Layer7 wrong status, code: 503, info: "in 3ms, ' ..
		'check duration: 4ms. 1 active and 2 backup servers left. 3 sessions active, 4 requeued, 5 remaining in queue"' ..
		", check duration: [12]ms via p3/s4. [1] active and [20] backup servers left. Running on backup. [3] sessions " ..
		"active, 4 requeued, [5] remaining in queue\r\n" ..
		"+Message-ID: <1.2@example.org>\r\n+MIME-Version: 1.0\r\n+Auto-Submitted: auto-generated\r\n\r\n" ..
		"Server be1/s2 is DOWN, reason: Layer7 wrong status, code: 503, check duration: [12]ms via p3/s4. " ..
		"[1] active and [20] backup servers left. Running on backup. [3] sessions active, 4 requeued, [5] remaining " ..
		"in queue\r\n\r\n" },
	{ text = "From: a\r\nTo: b\r\nDate: Tue, [03] Jun [2025] [09]:[41]:[07] +[0200] (CEST)\r\n" ..
		"Subject: [HAProxy Alert] Backup Server be/s is UP, changed from CLI. [0] active and [3] backup servers " ..
		"online. Running on backup. 6 sessions requeued, [7] total in queue\r\n\r\n" ..
		"Backup Server be/s is UP, changed from CLI. [0] active and [3] backup servers online. Running on backup. " ..
		"6 sessions requeued, [7] total in queue\r\n\r\n" },
	{ text = "Date: Tue, [03] Jun [2025] [09]:[41]:[07] +[0200] (CEST)\r\n" ..
		"Subject: [HAProxy Alert] Health check for server be/s succeeded, reason: Layer4 check passed, check duration: " ..
		"[0]ms, status: 3/3 UP\r\n\r\nHealth check for server be/s succeeded, reason: Layer4 check passed, " ..
		"check duration: [0]ms, status: 3/3 UP\r\n\r\n" },
	{ exact_counters = true, text = "Subject: [HAProxy Alert] Server be/s is UP. 1 active and 0 backup servers " ..
		"online. 0 sessions requeued, 7 total in queue\r\n\r\nServer be/s is UP. 1 active and 0 backup servers online. " ..
		"0 sessions requeued, 7 total in queue\r\n\r\n" },
}

-- Returns the two mails of a sample, and for each byte of the plugin's what it is: "digit", "added" or "strict".
local function parse(text)
	local native, plugin, kind, in_free, added = {}, {}, {}, false, false
	local at_line = true

	for i = 1, #text do
		local c = text:sub(i, i)

		if at_line and c == "+" then
			added = true
		elseif c == "[" and text:find("^%d+%]", i + 1) then
			in_free = true
		elseif c == "]" and in_free then
			in_free = false
		else
			plugin[#plugin + 1] = c
			kind[#plugin] = in_free and "digit" or added and "added" or "strict"
			if not added then native[#native + 1] = c end
			at_line = c == "\n"
			if at_line then added = false end
			goto continue
		end
		at_line = false
		::continue::
	end
	return table.concat(native), table.concat(plugin), kind
end

local function equal(native, plugin, sample)
	return compare.normalise(native, { exact_counters = sample.exact_counters }) ==
		compare.normalise(plugin, { exact_counters = sample.exact_counters, has_added = true })
end

local function altered(text, i, c)
	return text:sub(1, i - 1) .. c .. text:sub(i + 1)
end

local function check_sample(n, sample, problems)
	local native, plugin, kind = parse(sample.text)
	local tried = 0

	if not equal(native, plugin, sample) then table.insert(problems, "sample " .. n .. ": not equal to itself") end
	for i = 1, #plugin do
		for _, c in ipairs({ "x", "8", " ", "\r", "\n", "\xff", "\0", ":", "#" }) do
			local may = kind[i] == "digit" and c:find("%d") ~= nil

			if c ~= plugin:sub(i, i) and kind[i] ~= "added" then
				tried = tried + 1
				if equal(native, altered(plugin, i, c), sample) ~= may then
					table.insert(problems, ("sample %d: byte %d (%s) as %q is %s"):format(n, i, kind[i], c,
						may and "refused" or "not noticed"))
				end
			end
		end
		if kind[i] == "strict" then
			tried = tried + 1
			if equal(native, plugin:sub(1, i - 1) .. plugin:sub(i + 1), sample) then
				table.insert(problems, ("sample %d: byte %d left out is not noticed"):format(n, i))
			end
		end
	end
	return tried
end

local function check_headers(problems)
	local native, plugin = parse(samples[1].text)
	local rows = {
		{ "a header that is not on the list", "To: ", "X-Other: 1\r\nTo: " },
		{ "an added header twice", "MIME-Version: 1.0\r\n", "MIME-Version: 1.0\r\nMIME-Version: 1.0\r\n" },
		{ "an added header's name in other letters", "MIME-Version", "Mime-Version" },
		{ "an added header in the body", "\r\n\r\nServer", "\r\n\r\nMIME-Version: 1.0\r\nServer" },
		{ "a folded Subject", "is DOWN,", "is\r\n DOWN," },
		{ "a header left out", "To: admin@example.org\r\n", "" },
		{ "headers in another order", "From: haproxy@example.org\r\nTo: admin@example.org\r\n",
			"To: admin@example.org\r\nFrom: haproxy@example.org\r\n" },
		{ "a line more at the end", "queue\r\n\r\n$", "queue\r\n\r\n\r\n" },
		{ "a line less at the end", "queue\r\n\r\n$", "queue\r\n" },
		{ "an end without CRLF", "queue\r\n\r\n$", "queue\r\n\r" },
	}

	for _, row in ipairs(rows) do
		local from, to = plugin:find(row[2], 1, not row[2]:find("%$$"))
		local mail = plugin:sub(1, from - 1) .. row[3] .. plugin:sub(to + 1)

		if equal(native, mail, samples[1]) then table.insert(problems, row[1] .. " is not noticed") end
	end
	if equal(plugin, native, samples[1]) then
		table.insert(problems, "added headers in the native mail are not noticed")
	end
	return #rows + 1
end

local function copy(mails)
	local list = {}

	for i, mail in ipairs(mails) do
		list[i] = { helo = mail.helo, from = mail.from, to = { table.unpack(mail.to) }, data = mail.data }
	end
	return list
end

local function detected(native, other, server_of)
	return #compare.mails(native, other, server_of, { has_added = true }) > 0
end

-- native, other: the mails of one sink in a real run whose comparison said that they are equal.
function selftest.check_run(native, other, server_of, problems)
	local changes = {
		{ "a mail missing", function(m) table.remove(m, 1) end },
		{ "the last mail missing", function(m) table.remove(m) end },
		{ "a mail twice", function(m) table.insert(m, 1, m[1]) end },
		{ "a mail more", function(m) table.insert(m, m[#m]) end },
		{ "another order", function(m) m[1], m[2] = m[2], m[1] end },
		{ "another sender", function(m) m[1].from = "<other@example.org>" end },
		{ "another recipient", function(m) m[1].to[1] = "<other@example.org>" end },
		{ "a recipient more", function(m) table.insert(m[1].to, "<other@example.org>") end },
		{ "another HELO", function(m) m[1].helo = "other.example.org" end },
	}

	if detected(native, other, server_of) then table.insert(problems, "the run differs") end
	for i, mail in ipairs(other) do
		local at = mail.data:find("erver ", 1, true)

		changes[#changes + 1] = { "one byte of mail " .. i, function(m)
			m[i].data = altered(mail.data, at, "E")
		end }
	end
	for _, change in ipairs(changes) do
		local mails = copy(other)

		change[2](mails)
		if not detected(native, mails, server_of) then table.insert(problems, change[1] .. " is not noticed") end
	end
	return #changes
end

-- Returns the number of alterations tried and a list of those that were judged wrong.
function selftest.check_samples()
	local problems, tried = {}, 0

	for n, sample in ipairs(samples) do tried = tried + check_sample(n, sample, problems) end
	return tried + check_headers(problems), problems
end

return selftest
