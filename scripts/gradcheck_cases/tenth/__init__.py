"""Small networks that a course's students and a team's engineers write."""
