#pragma once

#include <string>

#include "tools/campaignctl/settings.hpp"

namespace cx::ctl {

// Who the server is told that we are. The first of these: --key-file or --token-file, CAMPAIGN_KEY_FILE,
// CAMPAIGN_TOKEN_FILE, CAMPAIGN_KEY (the key itself), what `campaignctl login` keeps for this server, the
// files of the context that the server comes from, and for a server on this machine the node's first key,
// where tools/run leaves it: data/admin.key below the current folder, or below the checkout that this program
// was built in.

struct Credential {
  std::string secret;  ///< an API key or an access token; empty for none. Never shown, never logged
  std::string origin;  ///< "flag --key-file", "login", "data/admin.key"
};

/// What to send. An access token of a login that has run out is renewed first, which asks the server.
Outcome<Credential> find_credential(const Settings& settings);

/// The same for people: a file, or whom a login is of; asks nobody and reads no secret.
Outcome<Setting> describe_credential(const Settings& settings);

/// What a login leaves on disk, beside the contexts, mode 0600, by server.
struct Login {
  std::string access_token, refresh_token;
  std::string expires_at;  ///< of the access token, RFC 3339
  std::string tenant, actor;
};

/// The login at the server of the settings; one without tokens when there is none.
Outcome<Login> stored_login(const Settings& settings);
/// Keeps it; forgets the one there is when it has no tokens.
Outcome<void> store_login(const Settings& settings, const Login& login);
/// A TokenReply of the server.
Outcome<Login> read_login(const std::string& document);

}  // namespace cx::ctl
