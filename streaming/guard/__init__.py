"""Who may ask this server for what: hosts and origins, the operator's token, admissions, resume secrets, quotas."""
