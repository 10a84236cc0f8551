"""How a fact becomes a question: one wording for each relation, so that only the subject differs within it.

Owns the wordings. A question never contains its answer, because an answer's span is found as what is not in the
question.
"""

from __future__ import annotations

TEMPLATES: dict[str, str] = {
    "adj_antonym": "What is the opposite of “{}”?",
    "adj_comparative": "What is the comparative form of the adjective “{}”?",
    "adj_superlative": "What is the superlative form of the adjective “{}”?",
    "capital_of_country": "What is the capital of {}?",
    "company_ceo": "Who is the chief executive officer of {}?",
    "company_hq": "In which city are the headquarters of {}?",
    "continent_of_country": "On which continent is {}?",
    "country_of_capital": "Of which country is {} the capital?",
    "country_of_city": "In which country is the city of {}?",
    "currency_of_country": "What is the currency of {}?",
    "element_of_symbol": "Which chemical element has the symbol {}?",
    "food_from_country": "From which country does the dish {} come?",
    "fruit_inside_color": "What colour is the inside of {}?",
    "fruit_outside_color": "What colour is the outside of {}?",
    "landmark_in_country": "In which country is {}?",
    "landmark_on_continent": "On which continent is {}?",
    "language_of_country": "Which language is an official language of {}?",
    "number_of_element": "What is the atomic number of {}?",
    "object_superclass": "To which class of things does this belong: {}?",
    "person_band_lead_singer": "Which band has {} as its lead singer?",
    "person_father": "Who is the father of {}?",
    "person_mother": "Who is the mother of {}?",
    "person_native_language": "What is the native language of {}?",
    "person_occupation": "What is the occupation of {}?",
    "person_plays_instrument": "Which musical instrument does {} play?",
    "person_plays_position_in_sport": "In which position does {} play?",
    "person_plays_pro_sport": "Which sport does {} play?",
    "person_university": "Which university did {} attend?",
    "pokemon_evolutions": "Into which Pokémon does {} evolve?",
    "presidents_birth_year": "In which year was {} born?",
    "presidents_election_year": "In which year was {} first elected president?",
    "product_by_company": "Which company makes {}?",
    "star_constellation": "In which constellation is the star {}?",
    "substance_phase": "What is the state of matter of {} at room temperature?",
    "superhero_archnemesis": "Who is the archenemy of {}?",
    "superhero_person": "What is the secret identity of {}?",
    "symbol_of_element": "What is the chemical symbol of {}?",
    "task_done_by_person": "What is a person called whose work is {}?",
    "task_done_by_tool": "Which tool is used for {}?",
    "verb_past_tense": "What is the past tense of the verb “{}”?",
    "word_first_letter": "What is the first letter of the word “{}”?",
    "word_last_letter": "What is the last letter of the word “{}”?",
    "work_location": "Where does this person work: {}?",
}
"""Relation -> question with {} for the subject."""
