"""Tracking, predicting and comparing the motion of points; knows no web and no queue."""
