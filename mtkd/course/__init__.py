"""What the course's notebooks show and nothing else needs: pictures and tables a lesson, and what all lessons share."""
