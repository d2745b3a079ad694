// The filters and the list of conversations.
