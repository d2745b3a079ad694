// What is shown, and the address.
