"""What uploads cost: this client, the others, and the least that reading and sending takes."""
