# certs.sh - certificates for tests, made on the spot; sourced by them with bash.
#
#   certs_ca DIR            a CA: DIR/ca.pem, DIR/ca.key
#   certs_server DIR NAME   a certificate of it for the DNS name NAME and 127.0.0.1: DIR/NAME.pem (certificate and key), NAME.crt,
#                           NAME.key; readable by the servers' users

certs_openssl() { openssl "$@" 2>> "$certs_log" || { cat "$certs_log"; return 1; }; }

certs_ca() {
	certs_log=$1/openssl.log
	certs_openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=Test CA" \
		-keyout "$1/ca.key" -out "$1/ca.pem"
}

certs_server() {
	local file=$1/$2

	certs_log=$1/openssl.log
	printf 'subjectAltName=DNS:%s,IP:127.0.0.1\n' "$2" > "$file.ext"
	certs_openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" -keyout "$file.key" \
		-out "$file.csr" &&
		certs_openssl x509 -req -in "$file.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days 2 \
			-extfile "$file.ext" -out "$file.crt" &&
		cat "$file.crt" "$file.key" > "$file.pem" && chmod 644 "$file".*
}
