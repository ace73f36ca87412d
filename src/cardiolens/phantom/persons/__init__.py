"""Who has the heart: the people of a site, what their age, size and habits do to the heart, what becomes of them."""

from cardiolens.phantom.persons.covariates import Person, draw_person
from cardiolens.phantom.persons.followup import FollowUp, follow_up
from cardiolens.phantom.persons.population import POPULATIONS, Population

__all__ = ["POPULATIONS", "FollowUp", "Person", "Population", "draw_person", "follow_up"]
