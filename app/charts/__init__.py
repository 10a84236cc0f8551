"""Figures as pure functions of results: no Streamlit, no request, theme passed in."""
