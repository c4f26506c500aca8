package abuse
