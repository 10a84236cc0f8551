"""How a fact becomes a question: two wordings for each relation, and three requests for a short or a long answer.

Owns the wordings and the kinds of questions. Which of the six forms a fact gets hangs on its name alone, so that within
a relation neither the wording nor the length of the answer can tell right answers from wrong ones. A question never
contains its answer, because an answer's span is found as what is not in the question.
"""

from __future__ import annotations

from backend.types.base import digest

KINDS: dict[str, dict[str, tuple[str, str]]] = {
    "places": {
        "capital_of_country": ("What is the capital of {}?", "Which city is the seat of the government of {}?"),
        "city_in_state": ("In which American state is {}?", "{} is a town in the United States. In which state?"),
        "continent_of_country": ("On which continent is {}?", "Which continent is {} part of?"),
        "country_of_capital": ("Of which country is {} the capital?", "{} is the capital. Of which country?"),
        "country_of_city": ("In which country is the city of {}?", "Which country does the city of {} belong to?"),
        "currency_of_country": ("What is the currency of {}?", "With which money do people pay in {}?"),
        "landmark_in_country": ("In which country is {}?", "To which country must one travel to see {}?"),
        "landmark_on_continent": ("On which continent is {}?", "To which continent must one travel to see {}?"),
        "language_of_country": (
            "Which language is an official language of {}?",
            "Name a language in which the laws of {} are written.",
        ),
        "river_in_place": ("Through which country or state does the {} flow?", "In which country or state is the {}?"),
        "state_of_capital": ("Of which American state is {} the capital?", "The governor of which state works in {}?"),
    },
    "people": {
        "person_birth_year": ("In which year was {} born?", "What is the year of birth of {}?"),
        "person_father": ("Who is the father of {}?", "What is the name of the father of {}?"),
        "person_first_name": ("What is the first name of the {}?", "By which first name is the {} known?"),
        "person_mother": ("Who is the mother of {}?", "What is the name of the mother of {}?"),
        "person_nationality": ("What was the nationality of {}?", "From which country was {}?"),
        "person_native_language": ("What is the native language of {}?", "Which language did {} speak as a child?"),
        "person_occupation": ("What is the occupation of {}?", "What does {} do for a living?"),
        "person_university": ("Which university did {} attend?", "At which university did {} study?"),
        "presidents_birth_year": ("In which year was {} born?", "What is the year of birth of {}?"),
    },
    "history": {
        "battle_in_war": ("During which war was the battle of {}?", "The battle of {} belongs to which conflict?"),
        "battle_year": ("In which year was the battle of {}?", "When was the battle of {} fought?"),
        "presidents_election_year": (
            "In which year was {} first elected president?",
            "When did {} win a presidential election for the first time?",
        ),
    },
    "works": {
        "character_creator": ("Who created the character {}?", "In whose stories does {} appear?"),
        "deity_mythology": ("In which mythology is {} found?", "Which people told myths about {}?"),
        "person_band_lead_singer": ("Which band has {} as its lead singer?", "In which band does {} sing?"),
        "person_plays_instrument": ("Which musical instrument does {} play?", "Which instrument is {} known for?"),
        "pokemon_evolutions": ("Into which Pokémon does {} evolve?", "What is the next evolution of {}?"),
        "superhero_archnemesis": ("Who is the archenemy of {}?", "Against whom does {} fight most often?"),
        "superhero_person": ("What is the secret identity of {}?", "Who is really behind the name {}?"),
    },
    "sport": {
        "person_plays_position_in_sport": ("In which position does {} play?", "Which position has {} in the team?"),
        "person_plays_pro_sport": ("Which sport does {} play?", "In which sport is {} a professional?"),
        "term_in_sport": ("In which sport is there a “{}”?", "To which sport does the word “{}” belong?"),
    },
    "companies": {
        "company_ceo": ("Who is the chief executive officer of {}?", "Who leads the company {}?"),
        "company_hq": ("In which city are the headquarters of {}?", "In which city does {} have its main office?"),
        "product_by_company": ("Which company makes {}?", "By which company is {} made?"),
    },
    "science": {
        "element_discovery_country": (
            "In which country was the element {} discovered?",
            "Where was the chemical element {} found first?",
        ),
        "element_discovery_year": ("In which year was the element {} discovered?", "When was {} discovered?"),
        "element_of_symbol": (
            "Which chemical element has the symbol {}?",
            "What does {} mean in the periodic table?",
        ),
        "number_of_element": ("What is the atomic number of {}?", "How many protons has an atom of {}?"),
        "quantity_of_unit": ("What is measured in the unit “{}”?", "The {} is a unit of which quantity?"),
        "star_constellation": (
            "In which constellation is the star {}?",
            "To which constellation does the star {} belong?",
        ),
        "substance_phase": (
            "What is the state of matter of {} at room temperature?",
            "At room temperature, in which state of matter is {}?",
        ),
        "symbol_of_element": ("What is the chemical symbol of {}?", "How do chemists abbreviate {}?"),
        "term_in_science": ("To which field does the term “{}” belong?", "In which subject does one learn of “{}”?"),
    },
    "nature": {
        "animal_class": ("To which class of animals does the {} belong?", "In which class do zoologists put the {}?"),
        "fruit_inside_color": ("What colour is the inside of {}?", "Which colour does one see when {} are cut open?"),
        "fruit_outside_color": ("What colour is the outside of {}?", "Which colour does the skin of {} have?"),
        "plant_kind": ("Which kind of plant is the {}?", "To which kind of plants does the {} belong?"),
    },
    "words": {
        "abbreviation_stands_for": ("What does {} stand for?", "Write out the abbreviation {}."),
        "adj_antonym": ("What is the opposite of “{}”?", "Which word means the contrary of “{}”?"),
        "adj_comparative": (
            "What is the comparative form of the adjective “{}”?",
            "“{}” is the positive form of an adjective. What is its comparative?",
        ),
        "adj_superlative": (
            "What is the superlative form of the adjective “{}”?",
            "“{}” is the positive form of an adjective. What is its superlative?",
        ),
        "language_in_family": (
            "To which family of languages does {} belong?",
            "Name the family of languages that {} is one of.",
        ),
        "verb_past_tense": ("What is the past tense of the verb “{}”?", "How is the verb “{}” written in the past?"),
        "word_first_letter": ("What is the first letter of the word “{}”?", "With which letter does “{}” begin?"),
        "word_last_letter": ("What is the last letter of the word “{}”?", "With which letter does “{}” end?"),
        "word_of_meaning": ("Which word means “{}”?", "What is the name for this: “{}”?"),
    },
    "everyday": {
        "food_from_country": (
            "From which country does the dish {} come?",
            "In which country was the dish {} first cooked?",
        ),
        "object_superclass": ("To which class of things does this belong: {}?", "What kind of thing is this: {}?"),
        "task_done_by_person": (
            "What is a person called whose work is {}?",
            "What do we call somebody whose work is {}?",
        ),
        "task_done_by_tool": ("Which tool is used for {}?", "With which tool does one go about {}?"),
        "work_location": ("Where does this person work: {}?", "At which place is this person at work: {}?"),
    },
}
"""Kind of question -> relation -> its wordings, with {} for the subject."""
TEMPLATES = {relation: wordings for kind in KINDS.values() for relation, wordings in kind.items()}
"""Relation -> its wordings."""
KIND_OF = {relation: kind for kind, relations in KINDS.items() for relation in relations}
"""Relation -> its kind."""
REQUESTS = ("{}", "{} Answer in one or two words.", "{} Answer in a full sentence.")
"""What is asked of the answer's length, with {} for the question."""


def worded(relation: str, subject: str) -> str:
    """The question about `subject`: one of the relation's wordings with one of the requests, by a digest of both
    names."""
    wordings = TEMPLATES[relation]
    chosen = int(digest([relation, subject])[:8], 16)
    request, wording = divmod(chosen % (len(wordings) * len(REQUESTS)), len(wordings))
    return REQUESTS[request].format(wordings[wording].format(subject))
